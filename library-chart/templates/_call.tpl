{{/*
These defines read the arguments of a public define. Each form stores what it finds in $call:

  root      root context of the consumer; missing after a mistake
  define    name of the consumer's define
  context   the argument of that define; missing after a mistake
  text      the spec of the dict form where it is a string, or what the define prints
  spec      the spec of the dict form where it is a dict
  options   settings for this call

Every kind is checked first: hasKey, omit and field access fail on a value of
another kind, and the message of that failure would show the internals of this chart.
*/}}

{{/* (list CTX "name.of.define" [OPTIONS]). Params: (list $call ARGUMENTS). */}}
{{- define "jobmesh._call.define" -}}
{{- $call := index . 0 -}}
{{- $arguments := index . 1 -}}
{{- if include "jobmesh._call.isRoot" $arguments -}}
  {{- include "jobmesh._errors.add" (list $call "got the root context alone; call it with (list $ \"name.of.define\")") -}}
{{- else if and (kindIs "string" $arguments) $arguments -}}
  {{- include "jobmesh._errors.add" (list $call (printf "got the name %q alone; call it with (list $ %q)" $arguments $arguments)) -}}
{{- else if not (kindIs "slice" $arguments) -}}
  {{- include "jobmesh._errors.add" (list $call (printf "want %s, got %s" $call.want (include "jobmesh._errors.kind" $arguments))) -}}
{{- else if not (has (len $arguments) (list 2 3)) -}}
  {{- include "jobmesh._errors.add" (list $call (printf "want (list $ \"name.of.define\") and at most settings after them, got a list of %d" (len $arguments))) -}}
{{- else -}}
  {{- $context := index $arguments 0 -}}
  {{- $name := index $arguments 1 -}}
  {{- include "jobmesh._call.root" (list $call $context) -}}
  {{- if len $arguments | eq 3 -}}
    {{- include "jobmesh._call.options" (list $call (index $arguments 2)) -}}
  {{- end -}}
  {{- if and (kindIs "string" $name) $name -}}
    {{- $_ := set $call "define" $name -}}
    {{- if not $call.errors -}}
      {{- $_ := set $call "context" $context -}}
    {{- end -}}
  {{- else -}}
    {{- include "jobmesh._errors.add" (list $call (printf "the second item must be the name of a define, got %s" (ternary "an empty string" (include "jobmesh._errors.kind" $name) (kindIs "string" $name)))) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
Stores what the consumer's define prints as $call.text. include alone would end the
rendering where there is no such define. tpl can test that, but is slow, so it tests each
define once. Params: $call after _settings.
*/}}
{{- define "jobmesh._call.text" -}}
{{- $call := . -}}
{{- if hasKey . "context" -}}
  {{- $found := default dict .kept.defines -}}
  {{- if hasKey $found .define -}}
    {{- /* Helm does this to what tpl prints. */ -}}
    {{- $_ := set . "text" (include .define .context | replace "<no value>" "") -}}
  {{- else -}}
    {{- /* A define whose body is white space does not replace an existing one (text/template,
           IsEmptyTree). So this body is only printed where the define does not exist. */ -}}
    {{- $missing := "\u2003\u2028" -}}
    {{- $text := tpl (printf "{{ define %q }}%s{{ end }}{{ include %q . }}" .define $missing .define) .context -}}
    {{- if eq $text $missing -}}
      {{- include "jobmesh._errors.add" (list $call (printf "there is no define %q: is it spelled as in its {{ define }}?" .define)) -}}
    {{- else -}}
      {{- $_ := set . "text" $text -}}
      {{- $_ := set .kept "defines" (set $found .define true) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "spec" SPEC ...OPTIONS). Params: (list $call ARGUMENTS). */}}
{{- define "jobmesh._call.spec" -}}
{{- $call := index . 0 -}}
{{- $arguments := index . 1 -}}
{{- include "jobmesh._call.root" (list $call $arguments) -}}
{{- $spec := index $arguments "spec" -}}
{{- if kindIs "map" $spec -}}
  {{- $_ := set $call "spec" $spec -}}
{{- else if kindIs "string" $spec -}}
  {{- $_ := set $call "text" $spec -}}
{{- else -}}
  {{- include "jobmesh._errors.add" (list $call (printf "spec must be a string or a dict, got %s" (include "jobmesh._errors.kind" $spec))) -}}
{{- end -}}
{{- if $call.root -}}
  {{- $_ := set $call "options" (omit $arguments "root" "spec") -}}
{{- end -}}
{{- end -}}

{{/* CTX or (list CTX OPTIONS). Params: (list $call ARGUMENTS). */}}
{{- define "jobmesh._call.context" -}}
{{- $call := index . 0 -}}
{{- $arguments := index . 1 -}}
{{- if kindIs "map" $arguments -}}
  {{- include "jobmesh._call.root" (list $call $arguments) -}}
{{- else if not (kindIs "slice" $arguments) -}}
  {{- include "jobmesh._errors.add" (list $call (printf "want $, or a list of $ and settings, got %s" (include "jobmesh._errors.kind" $arguments))) -}}
{{- else if len $arguments | eq 2 -}}
  {{- include "jobmesh._call.root" (list $call (index $arguments 0)) -}}
  {{- include "jobmesh._call.options" (list $call (index $arguments 1)) -}}
{{- else -}}
  {{- include "jobmesh._errors.add" (list $call (printf "want $, or a list of $ and settings, got a list of %d" (len $arguments))) -}}
{{- end -}}
{{- end -}}

{{/* CTX: the root context, or a dict that has it under "root". Params: (list $call CTX). */}}
{{- define "jobmesh._call.root" -}}
{{- $call := index . 0 -}}
{{- $context := index . 1 -}}
{{- if not (kindIs "map" $context) -}}
  {{- include "jobmesh._errors.add" (list $call (printf "the first item must be $ or a dict with root, got %s; inside range, pass $" (include "jobmesh._errors.kind" $context))) -}}
{{- else if include "jobmesh._call.isRoot" (index $context "root") -}}
  {{- $_ := set $call "root" (index $context "root") -}}
{{- else if include "jobmesh._call.isRoot" $context -}}
  {{- $_ := set $call "root" $context -}}
{{- else -}}
  {{- include "jobmesh._errors.add" (list $call "no root context: pass $ first, or a dict that has it under root") -}}
{{- end -}}
{{- end -}}

{{/* Prints something if the value is a root context. */}}
{{- define "jobmesh._call.isRoot" -}}
{{- if kindIs "map" . -}}
  {{- if and (kindIs "map" (index . "Values")) (index . "Chart") -}}
    yes
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Params: (list $call OPTIONS). null counts as no options, so that a value that is not set can be passed on. */}}
{{- define "jobmesh._call.options" -}}
{{- $call := index . 0 -}}
{{- $options := index . 1 -}}
{{- if kindIs "map" $options -}}
  {{- $_ := set $call "options" $options -}}
{{- else if not (kindIs "invalid" $options) -}}
  {{- include "jobmesh._errors.add" (list $call (printf "settings must be a dict, got %s" (include "jobmesh._errors.kind" $options))) -}}
{{- end -}}
{{- end -}}
