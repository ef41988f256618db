package wrap

// What the reference page says beside the flags. None of it is linked into the
// wrapper; tests hold it to the code.

// An Explained is a name with what it means.
type Explained struct{ Name, Meaning string }

// Events are the names in the field "event" of the JSON log.
var Events = []Explained{
	{"no-mesh", "nothing to wait for: --mesh none, no annotation names a mesh, or a drop-in name is switched off"},
	{"proxy-found", "a proxy answered at a known port, where nothing said which there is"},
	{"no-proxy", "no proxy answered within --detect-timeout, or the verb stop found none"},
	{"pod-annotations", "the file with the pod's annotations cannot be read"},
	{"proxy-ready", "the readiness check succeeded"},
	{"proxy-not-ready", "it did not within --ready-timeout"},
	{"stop-disabled", "the proxy's stop endpoint is off or elsewhere, so the pod will not end"},
	{"native-sidecar", "the proxy is taken for a native sidecar, which the kubelet stops"},
	{"dependency-ready", "a target of --wait-for is there"},
	{"dependency-not-ready", "it is not within --wait-for-timeout"},
	{"wait-ended", "a signal ended one of these waits"},
	{"command-started", "the command runs as a child"},
	{"command-exec", "the command takes the wrapper's place"},
	{"command-not-started", "the command is not there or cannot be run"},
	{"command-ended", "the command exited or was ended by a signal"},
	{"command-killed", "it outlived --kill-after"},
	{"proxy-lost", "the proxy went while the command ran, and --on-proxy-lost ends the command"},
	{"proxy-left", "other containers of the pod still need the proxy"},
	{"proxy-stopped", "the proxy took the stop request and is gone: nobody listens where it was ready either"},
	{"proxy-draining", "it took the request and closed its port, and may live on until its connections end"},
	{"proxy-gone", "the proxy was gone already, or somebody else stops it"},
	{"proxy-lingers", "it took the request and is still there after --stop-timeout"},
	{"proxy-not-stopped", "auto has chosen the proxies, and another one answers too"},
	{"stop-again", "the answer to a stop request is worth another try"},
	{"stop-failed", "the proxy could not be stopped"},
	{"state", "--state-dir could not be used, or holds something that is not the wrapper's"},
	{"termination-log", "/dev/termination-log is not a regular file, and is left alone"},
	{"usage", "a flag, a variable or a value is wrong"},
	{"install-failed", "install could not copy the program, or could not write down which proxies answered"},
	{"internal", "anything else"},
}

// ExitCodes are those of the wrapper itself.
var ExitCodes = []Explained{
	{"the command's", "whatever the command exited with"},
	{"128+n", "signal n ended the command, or the wait for the proxy"},
	{"127", "the command was not found"},
	{"126", "the command cannot be run: no permission, a directory, no interpreter"},
	{"64", "usage: an unknown flag, a bad value, no command"},
	{"69", "the proxy or a dependency was not ready in time, or the proxy was lost (--on-proxy-lost fail)"},
	{"70", "internal: install could not write, the state folder is unusable"},
}

// Help is what --help prints.
func Help() string { return helpText() }
