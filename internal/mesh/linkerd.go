package mesh

import (
	"strconv"
	"strings"
)

// LinkerdShutdownSwitch is where a Linkerd proxy tells, since 2022, whether its
// stop endpoint is on: a JSON object with this variable as its only key
// (linkerd2-proxy, linkerd/app/admin).
const (
	linkerdShutdownVariable = "LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED"
	LinkerdShutdownSwitch   = "http://127.0.0.1:4191/env.json?" + linkerdShutdownVariable
)

// LinkerdShutdownOff reports whether the answer of LinkerdShutdownSwitch says
// that the stop endpoint is off. known is false where the answer says nothing.
func LinkerdShutdownOff(body string) (off, known bool) {
	value, found := topLevel(body, linkerdShutdownVariable)
	switch {
	case !found:
		return false, false
	case value.kind == '"':
		return value.text != "true", true
	}
	return true, true // null: not set, and off is the default
}

// LinkerdNativeByDefault reports whether a proxy of this version runs as a
// native sidecar unless told otherwise: Linkerd 2.20, June 2026, and newer. The
// version is the value of linkerd.io/proxy-version: 2.20.1, stable-2.14.10,
// enterprise-2.19.0, edge-26.6.2.
func LinkerdNativeByDefault(version string) bool {
	channel, number, found := strings.Cut(version, "-")
	if !found || strings.Contains(channel, ".") {
		channel, number = "", version
	}
	major, rest, _ := strings.Cut(strings.TrimPrefix(number, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	x, err := strconv.Atoi(major)
	y, err2 := strconv.Atoi(minor)
	if err != nil || err2 != nil {
		return false
	}
	if channel == "edge" {
		return x > 26 || x == 26 && y >= 6
	}
	return x == 2 && y >= 20
}
