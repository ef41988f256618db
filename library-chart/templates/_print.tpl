{{/*
Prints a value as YAML. Helm's toYaml prints nothing at all where a string holds one of
the characters below, and a blank for U+0085. A Job would be gone, or run something else,
and nobody told. So each such string is a mistake, and nothing is printed then.

Params: (list $call VALUE PATH). PATH says where the value is; "" says nothing.
*/}}
{{- define "jobmesh._print" -}}
{{- $call := first . -}}
{{- $value := index . 1 -}}
{{- $text := toYaml $value -}}
{{- /* JSON has U+0085 as it is; it costs little beside YAML. */ -}}
{{- if and $text (not (contains "\u0085" (toJson $value))) -}}
  {{- $text -}}
{{- else -}}
  {{- include "jobmesh._print.find" . -}}
  {{- if not $call.errors -}}
    {{- include "jobmesh._errors.add" (list $call (printf "%s holds a value that Helm's toYaml cannot print, such as an infinite number" (default "the result" (last .)))) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
Adds a mistake for each string that would be lost. Items of a list go by their names, and
words of a list by none, since injection may have put others before them.
Params: those of jobmesh._print.
*/}}
{{- define "jobmesh._print.find" -}}
{{- $call := first . -}}
{{- $value := index . 1 -}}
{{- $path := last . -}}
{{- if kindIs "map" $value -}}
  {{- range $key, $item := $value -}}
    {{- $below := list $path (include "jobmesh._print.name" $key) | join "." | trimPrefix "." -}}
    {{- include "jobmesh._print.string" (list $call $key (printf "the key %s" $below)) -}}
    {{- include "jobmesh._print.find" (list $call $item $below) -}}
  {{- end -}}
{{- else if kindIs "slice" $value -}}
  {{- range $i, $item := $value -}}
    {{- $below := $path -}}
    {{- if kindIs "map" $item -}}
      {{- $below = printf "%s[%s]" $path (default $i $item.name | toString | include "jobmesh._print.name") -}}
    {{- end -}}
    {{- include "jobmesh._print.find" (list $call $item $below) -}}
  {{- end -}}
{{- else if kindIs "string" $value -}}
  {{- include "jobmesh._print.string" . -}}
{{- end -}}
{{- end -}}

{{/* A name or a key as a message can show it. */}}
{{- define "jobmesh._print.name" -}}
{{- ternary (printf "%q" .) . (regexMatch "[\u007f-\u009f\ufffe\uffff]" .) -}}
{{- end -}}

{{/* Adds a mistake if a string would be lost. Params: those of jobmesh._print. */}}
{{- define "jobmesh._print.string" -}}
{{- $place := last . -}}
{{- $call := first . -}}
{{- with regexFind "[\u007f-\u009f\ufffe\uffff]" (index . 1) -}}
  {{- $character := printf "%+q" . | trimAll "\"" | trimPrefix "\\x" | trimPrefix "\\u" | upper -}}
  {{- include "jobmesh._errors.add" (list $call (printf "%s holds the character U+%04s, which Helm would lose in YAML; remove it, or let the program make it, as a shell does with printf" $place $character)) -}}
{{- end -}}
{{- end -}}
