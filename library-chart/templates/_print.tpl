{{/*
Prints a value as YAML. Helm's toYaml prints nothing at all where a string contains one of
the characters below, and a space for U+0085. A Job would be missing, or would run something
else, without any message. So each such string is a mistake, and nothing is printed. The same
holds for integers of 2^53 and above, which Helm has read as floats and rounded.

Params: (list $call VALUE PATH). PATH is the place of the value for messages; it may be "".
*/}}
{{- define "jobmesh._print" -}}
{{- $call := first . -}}
{{- $value := index . 1 -}}
{{- $text := toYaml $value -}}
{{- $before := len (default list $call.errors) -}}
{{- /* JSON contains U+0085 unescaped, and takes little time beside YAML. Few texts have numbers of 16 digits. */ -}}
{{- $suspect := or (contains "\u0085" (toJson $value)) (regexMatch "[0-9]{16}|[0-9]e[+]" $text) -}}
{{- if or $suspect (not $text) -}}
  {{- include "jobmesh._print.find" . -}}
{{- end -}}
{{- if gt (len (default list $call.errors)) $before -}}
  {{- /* After a mistake nothing is printed. */ -}}
{{- else if $text -}}
  {{- $text -}}
{{- else -}}
  {{- if not $call.errors -}}
    {{- include "jobmesh._errors.add" (list $call (printf "%s holds a value that Helm's toYaml cannot print, such as an infinite number" (default "the result" (last .)))) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
Adds a mistake for each string that would be lost. An item of a list is named by its name. A
plain string in a list has no index in the message, because injection may have put others in
front of it.
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
{{- else if has (kindOf $value) (list "float64" "int64" "int") -}}
  {{- if or (ge (float64 $value) 9007199254740992.0) (le (float64 $value) -9007199254740992.0) -}}
    {{- include "jobmesh._errors.add" (list $call (printf "%s is the number %.0f or one near it, and Helm cannot tell which; write it as a string, or a smaller number" $path (float64 $value))) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Prints a name or a key in the form in which a message can show it. */}}
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
