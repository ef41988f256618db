{{/*
Mode hook: the shell of the image does what the wrapper does, with curl, wget or
busybox. Stores the words in front of a command as $call.argv. Params: $call.

These parts of the script need an explanation:

  exec 3<&0   a shell connects a background command to /dev/null
  got         a signal ends `wait`, not the command; the script then has to wait again,
              and gets 127 if the command had ended before
  ! is_ready  a proxy may be gone before it has answered the stop request
  http_proxy= the address is on the loopback, where no HTTP proxy is to be used
  native      the kubelet stops a native sidecar by itself, and starts it again if anybody
              else stops it; a stop request that the author has set is still sent
  none        is the value that means no readiness check
  send, ask   some proxies are ready only when the answer has a certain body: up to Kuma 2.11
              port 9902 answers 200 before its Envoy exists. send prints the answer
  limits      GNU wget tries 20 times; busybox has no flag for that, and some builds
              of it crash with a segmentation fault when they get -T
*/}}
{{- define "jobmesh._hook" -}}
{{- $settings := .settings -}}
{{- $wrapper := default dict $settings.wrapper -}}
{{- $row := get .meshes $settings.mesh -}}
{{- $checks := $row.hook.ready -}}
{{- with $wrapper.readyUrl -}}
  {{- $checks = eq . "none" | ternary list (list (dict "url" .)) -}}
{{- end -}}
{{- $stop := default (list $row.hook.stop) $wrapper.stop -}}
{{- /* >>> defaults: written by make generate from internal/wrapflags */ -}}
{{- $limit := 120 -}}
{{- $onReadyTimeout := "fail" -}}
{{- /* <<< defaults */ -}}
{{- with $wrapper.readyTimeout -}}
  {{- $limit = 0 -}}
  {{- range regexFindAll "[0-9]+[hms]" . -1 -}}
    {{- $limit = add $limit (mul (regexFind "[0-9]+" . | atoi) (get (dict "h" 3600 "m" 60 "s" 1) (trimAll "0123456789" .))) -}}
  {{- end -}}
{{- end -}}
{{- $native := empty $wrapper.stop | ternary $row.hook.native list -}}
{{- $script := list "say() { echo \"jobmesh: $*\" >&2; }" -}}
{{- with $row.env -}}
  {{- $variable := (first .).name -}}
  {{- $variables := "" -}}
  {{- range . -}}
    {{- $variables = print $variables " " .name -}}
  {{- end -}}
  {{- with $native -}}
    {{- $script = concat $script (list "native=" (printf "case %s in %s) native=yes ;; esac" (first .) (last .))) -}}
  {{- end -}}
  {{- $script = concat $script (list
      "# Without the mark of the injector there is no proxy."
      (printf "injected=$%s" $variable)
      (printf "unset%s" $variables)
      "case $injected in '' | false) exec \"$@\" ;; esac") -}}
{{- end -}}
{{- $script = concat $script (list
    "client="
    "for name in curl wget busybox; do"
    "  [ -n \"$client\" ] || ! command -v $name >/dev/null 2>&1 || client=$name"
    "done"
    "if [ -z \"$client\" ]; then"
    "  say \"mode hook needs curl, wget or busybox in the image\""
    "  exit 127"
    "fi"
    "wget=wget limits="
    "[ $client != busybox ] || wget='busybox wget'"
    "[ $client != wget ] || ! wget --version >/dev/null 2>&1 || limits='-t 1 -T 2'"
    "send() {"
    "  case $client-$1 in"
    "  curl-GET) set -- curl -fsS -m 2 \"$2\" ;;"
    (printf "  curl-*) set -- curl -fsS -m 2 -d '' -X \"$1\" %s\"$2\" ;;" (include "jobmesh._hook.token" $row))
    "  *-GET) set -- $wget -q $limits -O - \"$2\" ;;"
    (printf "  *) set -- $wget -q $limits -O - --post-data '' %s\"$2\" ;;" (include "jobmesh._hook.token" $row))
    "  esac"
    "  http_proxy= all_proxy= ALL_PROXY= \"$@\" 2>/dev/null"
    "}"
    "ask() { send \"$@\" >/dev/null; }") -}}
{{- $ready := list -}}
{{- $looks := list -}}
{{- range $checks -}}
  {{- $url := include "jobmesh._hook.quote" .url -}}
  {{- $ready = append $ready .url -}}
  {{- if .body -}}
    {{- $looks = include "jobmesh._hook.quote" .body | printf "[ \"$(send GET %s)\" = %s ]" $url | append $looks -}}
  {{- else -}}
    {{- $looks = printf "ask GET %s" $url | append $looks -}}
  {{- end -}}
{{- end -}}
{{- if $looks -}}
  {{- $script = join " || " $looks | printf "is_ready() { %s; }" | append $script -}}
{{- end -}}
{{- $script = append $script "stop() {" -}}
{{- if $native -}}
  {{- $script = append $script "  [ -z \"$native\" ] || return 0" -}}
{{- end -}}
{{- range $stop -}}
  {{- $method := splitList " " . | first -}}
  {{- $url := trimPrefix $method . | trim | include "jobmesh._hook.quote" -}}
  {{- $gone := "" -}}
  {{- if $ready -}}
    {{- $gone = " || ! is_ready" -}}
  {{- end -}}
  {{- $script = append $script (printf "  ask %s %s%s || { sleep 1; ask %s %s; } ||\n    say \"the proxy was not stopped by\" %s %s" $method $url $gone $method $url $method $url) -}}
{{- end -}}
{{- $script = concat $script (list "}" "trap 'stop; exit 143' TERM") -}}
{{- with $ready -}}
  {{- $script = concat $script (list (printf "ready=%s limit=%d" (join " or " . | include "jobmesh._hook.quote") $limit)
      "end=$(($(date +%s) + limit))"
      "until is_ready; do"
      "  if [ $limit -gt 0 ] && [ \"$(date +%s)\" -ge $end ]; then"
      "    say \"the proxy is not ready after ${limit}s: GET $ready\"") -}}
  {{- if eq (default $onReadyTimeout $wrapper.onReadyTimeout) "run" -}}
    {{- $script = append $script "    break" -}}
  {{- else -}}
    {{- $script = concat $script (list "    stop" "    exit 69") -}}
  {{- end -}}
  {{- $script = concat $script (list "  fi" "  sleep 0.1 2>/dev/null || sleep 1" "done") -}}
{{- end -}}
{{- if and $native (ne .stopWhen "never") -}}
  {{- $script = append $script "[ -z \"$native\" ] || { trap - TERM; exec \"$@\"; }" -}}
{{- end -}}
{{- if eq .stopWhen "never" -}}
  {{- $script = append $script "trap - TERM\nexec \"$@\"" -}}
{{- else -}}
  {{- $script = concat $script (list
      "early="
      "trap 'early=1' TERM"
      "exec 3<&0"
      "\"$@\" <&3 3<&- &"
      "pid=$!"
      "exec 3<&-"
      "for signal in TERM INT HUP QUIT USR1 USR2; do"
      "  trap \"got=1; kill -$signal $pid 2>/dev/null\" $signal"
      "done"
      "[ -z \"$early\" ] || kill -TERM $pid"
      "code="
      "while :; do"
      "  got="
      "  wait $pid"
      "  new=$?"
      "  [ -n \"$code\" ] && [ $new -eq 127 ] || code=$new"
      "  [ -n \"$got\" ] || break"
      "done") -}}
  {{- with .restartCodes -}}
    {{- /* The kubelet starts the container again after these. */ -}}
    {{- $listed := trimPrefix "!" . | replace "," " | " -}}
    {{- $script = append $script (hasPrefix "!" . | ternary "case $code in %s) ;; *) exit $code ;; esac" "case $code in %s) exit $code ;; esac" | replace "%s" $listed) -}}
  {{- end -}}
  {{- $script = append $script (eq .stopWhen "success" | ternary "[ $code -ne 0 ] || stop" "stop") -}}
  {{- $script = append $script "exit $code" -}}
{{- end -}}
{{- $_ := set . "argv" (list "/bin/sh" "-c" (join "\n" $script | printf "%s\n") "jobmesh-hook") -}}
{{- end -}}

{{/* Prints the flags for a token, with a space behind them. */}}
{{- define "jobmesh._hook.token" -}}
{{- if .hook.tokenHeader -}}
  {{- printf "${%s:+--header \"%s: $%s\"} " .hook.tokenVariable .hook.tokenHeader .hook.tokenVariable -}}
{{- end -}}
{{- end -}}

{{/* Prints text as one word of the shell. */}}
{{- define "jobmesh._hook.quote" -}}
'{{ replace "'" "'\\''" . }}'
{{- end -}}
