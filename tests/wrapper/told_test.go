package wrapper

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// podAnnotations writes the file of a downwardAPI volume as the kubelet does: with symbolic
// links.
func podAnnotations(t *testing.T, annotations map[string]string) (path string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	var text strings.Builder
	for name, value := range annotations {
		text.WriteString(name + "=" + strconv.Quote(value) + "\n")
	}
	data := filepath.Join(dir, "..2026_11_26")
	require.NoError(t, os.Mkdir(data, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(data, "annotations"), []byte(text.String()), 0o644))
	require.NoError(t, os.Symlink("..2026_11_26", filepath.Join(dir, "..data")))
	require.NoError(t, os.Symlink("..data/annotations", filepath.Join(dir, "annotations")))
	return filepath.Join(dir, "annotations")
}

// Native sidecars of every mesh with such an annotation are waited for. They are not stopped,
// and no warning mentions them.
func TestNativeByAnnotation(t *testing.T) {
	for name, c := range map[string]struct {
		port        string
		annotations map[string]string
		flags       []string
		stops       int
	}{
		"dapr":                     {"3500", map[string]string{"dapr.io/enabled": "true", "dapr.io/enable-native-sidecar": "true"}, nil, 0},
		"consul":                   {"19000", map[string]string{"consul.hashicorp.com/connect-inject-status": "injected", "consul.hashicorp.com/enable-consul-dataplane-as-sidecar": "true"}, nil, 0},
		"linkerd":                  {"4191", map[string]string{"linkerd.io/proxy-version": "2.19.1", "config.beta.linkerd.io/proxy-enable-native-sidecar": "true"}, nil, 0},
		"istio":                    {"15021", map[string]string{"sidecar.istio.io/status": `{"initContainers":["istio-init","istio-proxy"],"containers":null}`}, nil, 0},
		"kuma, of the policy":      {"9902", map[string]string{"kuma.io/sidecar-injected": "true", "jobmesh.dev/native": "log-shipper, kuma-sidecar"}, nil, 0},
		"linkerd, of the policy":   {"4191", map[string]string{"linkerd.io/proxy-version": "2.14.0", "jobmesh.dev/native": "linkerd"}, nil, 0},
		"linkerd, of the chart":    {"4191", map[string]string{"linkerd.io/proxy-version": "2.14.0"}, []string{"--native=x,linkerd-proxy"}, 0},
		"linkerd, another's":       {"4191", map[string]string{"linkerd.io/proxy-version": "2.14.0", "jobmesh.dev/native": "istio-proxy"}, nil, 1},
		"dapr, of the wrong words": {"3500", map[string]string{"dapr.io/enabled": "true", "dapr.io/enable-native-sidecar": "enabled"}, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, "127.0.0.1:"+c.port, 50*time.Millisecond, func(p *proxy) { p.shutdown = `"false"` })
			args := append([]string{"--pod-annotations=" + podAnnotations(t, c.annotations)}, c.flags...)
			r := command(t, append(args, "--", "sh", "-c", "exit 3")...).run()
			assert.Equal(t, 3, r.code, r.stderr)
			p.waitedFor()
			assert.Equal(t, c.stops, p.stops(), r.stderr)
			if c.stops == 0 {
				assert.Contains(t, r.stderr, "handing over to it")
				assert.NotContains(t, r.stderr, "warning")
			}
		})
	}
}

// If the file has no annotation of a mesh, there is no proxy, and no port is asked, not even
// one that answers.
func TestNoMeshByAnnotation(t *testing.T) {
	p := startProxy(t, "127.0.0.1:4191", 0)
	for _, annotations := range []map[string]string{nil, {"dapr.io/enabled": "false", "x": "y"}} {
		r := command(t, "--pod-annotations="+podAnnotations(t, annotations), "--", "true").run()
		assert.Equal(t, 0, r.code, r.stderr)
		assert.Contains(t, r.stderr, "no proxy to wait for: the pod's annotations name no mesh")
	}
	assert.Zero(t, p.stops()+p.looks())
}

// The wrapper finds the file, and the notes of install, by its own path. A proxy that answered
// while install ran is native, even if it was not ready.
func TestInstallNotesWhatAnswers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "jobmesh")
	require.NoError(t, os.Mkdir(dir, 0o755))
	noted := filepath.Join(dir, "jobmesh-native")
	require.Equal(t, 0, command(t, "install", dir).run().code)
	require.NoFileExists(t, noted, "a refusal proves nothing")

	linkerd := startProxy(t, "127.0.0.1:4191", time.Hour)
	require.Eventually(t, func() bool { // install gives a proxy only little time to answer
		require.Equal(t, 0, command(t, "install", dir).run().code)
		_, err := os.Stat(noted)
		return err == nil
	}, tooLong, time.Millisecond)
	text, err := os.ReadFile(noted)
	require.NoError(t, err)
	require.Equal(t, "linkerd\n", string(text))

	volume := podAnnotations(t, map[string]string{"linkerd.io/proxy-version": "2.14.0", "dapr.io/enabled": "true"})
	require.NoError(t, os.Symlink(filepath.Dir(volume), dir+"-pod"))
	dapr := startProxy(t, "127.0.0.1:3500", 0)
	linkerd.becomesReady()
	w := command(t, "--", "sh", "-c", "exit 3")
	w.cmd.Path = filepath.Join(dir, "jobmesh-wrap")
	r := w.run()
	assert.Equal(t, 3, r.code, r.stderr)
	assert.Equal(t, []int{0, 1}, []int{linkerd.stops(), dapr.stops()}, r.stderr)
	assert.NotEmpty(t, linkerd.looks())
}

// Something else in place of the file does not block the wrapper, and is reported.
func TestPodAnnotationsThatAreNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o644))
	for path, words := range map[string]string{
		pipe:                         "is not a regular file",
		dir:                          "is not a regular file",
		"/dev/zero":                  "is not a regular file",
		filepath.Join(dir, "nobody"): "no such file or directory",
	} {
		r := command(t, "--pod-annotations="+path, "--detect-timeout=20ms", "--", "sh", "-c", "exit 3").run()
		assert.Equal(t, 3, r.code, r.stderr)
		assert.Contains(t, r.stderr, "warning: "+path+": "+words+": going on without the pod's annotations")
	}
	// The content and its length do not matter.
	junk := filepath.Join(dir, "junk")
	require.NoError(t, os.WriteFile(junk, []byte("dapr.io/enabled=\"true\"\n\x00=\"\nx=\"\\q\"\n"+strings.Repeat("a=\"b\"\n", 1<<18)), 0o644))
	p := startProxy(t, "127.0.0.1:3500", 0)
	r := command(t, "--pod-annotations="+junk, "--", "true").run()
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Equal(t, 1, p.stops())
}

// A variable and a verb are misspelt.
func TestMisspelt(t *testing.T) {
	r := command(t, "--mesh=none", "--", "true").env("JOBMESH_STOP_WEN=never", "JOBMESH_SERVICE_HOST=10.0.0.1", "JOBMESH_QUITE=").run()
	assert.Equal(t, 0, r.code)
	assert.Contains(t, r.stderr, "warning: the variable JOBMESH_STOP_WEN is not one of this wrapper's, and is ignored: did you mean JOBMESH_STOP_WHEN?")
	assert.Equal(t, 1, strings.Count(r.stderr, "did you mean"))
	r = command(t, "instal", "/jobmesh").run()
	assert.Equal(t, 64, r.code)
	assert.Contains(t, r.stderr, `error: put -- before the command "instal", or write install if you mean that`)
}

// Dapr's metrics answer 200 for every path, earlier than Dapr itself.
func TestAPageOfMetricsIsNoProxy(t *testing.T) {
	metrics := startProxy(t, "127.0.0.1:9090", 0, func(p *proxy) { p.readyBody = "# HELP dapr_runtime_component_loaded\n" })
	w := command(t, "--detect-timeout="+beyond, "--", "sh", "-c", "exit 3").start()
	metrics.untilAsked()
	metrics.untilAsked() // the first answer was not enough
	dapr := startProxy(t, "127.0.0.1:3500", 0)
	r := w.wait()
	assert.Equal(t, 3, r.code, r.stderr)
	assert.Contains(t, r.stderr, "dapr found after")
	assert.Equal(t, 1, dapr.stops(), r.stderr)
	assert.NotContains(t, r.stderr, "cloud-sql-proxy")
}

// Up to Kuma 2.11 kuma-dp answers READY before its Envoy exists.
func TestKumaIsReadyWithItsEnvoy(t *testing.T) {
	agent := startProxy(t, "127.0.0.1:9902", 0, func(p *proxy) { p.readyBody = "READY" })
	w := command(t, "--mesh=kuma", "--ready-timeout="+beyond, "--", "sh", "-c", "exit 3").start()
	agent.untilAsked()
	agent.untilAsked() // the first answer was not enough
	envoy := startProxy(t, "127.0.0.1:9901", 200*time.Millisecond)
	r := w.wait()
	assert.Equal(t, 3, r.code, r.stderr)
	envoy.waitedFor()
	assert.Equal(t, 1, envoy.stops(), r.stderr)
}

// The annotation status.sidecar.istio.io/port moves the agent's port, or turns it off; Envoy's
// own port stays.
func TestIstioWithoutItsPort(t *testing.T) {
	t.Run("moved", func(t *testing.T) {
		startProxy(t, "127.0.0.1:15021", 50*time.Millisecond)
		envoy := startProxy(t, "127.0.0.1:15000", 0)
		r := command(t, "--stop-timeout="+beyond, "--", "sh", "-c", "exit 3").env("JOBMESH_POD_ISTIO={}").run()
		assert.Equal(t, 3, r.code, r.stderr)
		assert.Equal(t, 1, envoy.stops(), r.stderr)
		assert.NotContains(t, r.stderr, "error")
	})
	t.Run("off", func(t *testing.T) {
		startProxy(t, "127.0.0.1:15021", time.Hour)
		envoy := startProxy(t, "127.0.0.1:15000", 100*time.Millisecond)
		r := command(t, "--ready-timeout="+beyond, "--stop-timeout="+beyond, "--", "sh", "-c", "exit 3").env("JOBMESH_POD_ISTIO={}").run()
		assert.Equal(t, 3, r.code, r.stderr)
		envoy.waitedFor()
		assert.Equal(t, 1, envoy.stops(), r.stderr)
	})
	t.Run("the agent is there", func(t *testing.T) {
		agent := startProxy(t, "127.0.0.1:15020", 0)
		ready := startProxy(t, "127.0.0.1:15021", 300*time.Millisecond)
		envoy := startProxy(t, "127.0.0.1:15000", 0)
		r := command(t, "--", "sh", "-c", "exit 3").env("JOBMESH_POD_ISTIO={}").run()
		assert.Equal(t, 3, r.code, r.stderr)
		ready.waitedFor()
		assert.Equal(t, []int{1, 0}, []int{agent.stops(), envoy.stops()}, r.stderr)
	})
	t.Run("off, and stopped by another request", func(t *testing.T) {
		startProxy(t, "127.0.0.1:15021", time.Hour)
		envoy, other := startProxy(t, "127.0.0.1:15000", 100*time.Millisecond), startProxy(t, "", 0)
		r := command(t, "--ready-timeout="+beyond, "--stop=POST http://"+other.addr+"/shutdown", "--stop-timeout="+beyond,
			"--", "sh", "-c", "exit 3").env("JOBMESH_POD_ISTIO={}").run()
		assert.Equal(t, 3, r.code, r.stderr)
		envoy.waitedFor()
		assert.Equal(t, []int{0, 1}, []int{envoy.stops(), other.stops()}, r.stderr)
	})
	t.Run("off, and seen to live by its Envoy", func(t *testing.T) {
		envoy := startProxy(t, "127.0.0.1:15000", 0)
		r := command(t, "--on-proxy-lost=fail", "--stop-timeout="+beyond, "--", "sh", "-c", "sleep 1.2; exit 3").env("JOBMESH_POD_ISTIO={}").run()
		assert.Equal(t, 3, r.code, r.stderr)
		assert.Equal(t, 1, envoy.stops(), r.stderr)
	})
	t.Run("the agent is there, and stopped by another request", func(t *testing.T) {
		startProxy(t, "127.0.0.1:15020", 0)
		envoy, ready := startProxy(t, "127.0.0.1:15000", 0), startProxy(t, "127.0.0.1:15021", 300*time.Millisecond)
		r := command(t, "--ready-timeout="+beyond, "--stop=POST http://127.0.0.1:8200/nobody", "--stop-timeout=100ms",
			"--", "sh", "-c", "exit 3").env("JOBMESH_POD_ISTIO={}").run()
		assert.Equal(t, 3, r.code, r.stderr)
		ready.waitedFor()
		assert.Zero(t, envoy.looks(), "the agent's own port counts")
	})
	t.Run("ready is not asked", func(t *testing.T) {
		envoy := startProxy(t, "127.0.0.1:15000", 0)
		r := command(t, "--mesh=istio", "--ready-url=none", "--stop-timeout="+beyond, "--", "true").run()
		assert.Equal(t, 0, r.code, r.stderr)
		assert.Equal(t, 1, envoy.stops(), r.stderr)
	})
	t.Run("stop", func(t *testing.T) {
		startProxy(t, "127.0.0.1:15021", 0)
		envoy := startProxy(t, "127.0.0.1:15000", 0)
		r := command(t, "stop").run()
		assert.Equal(t, 0, r.code, r.stderr)
		assert.Equal(t, 1, envoy.stops(), r.stderr)
	})
}

// A stop request before Envoy answers makes consul-dataplane unstoppable.
func TestConsulIsNotStoppedTooEarly(t *testing.T) {
	lifecycle := startProxy(t, "127.0.0.1:20600", 0)
	startProxy(t, "127.0.0.1:4191", 0)
	w := command(t, "--mesh=linkerd,consul", "--", "true").start().until("linkerd ready after")
	w.signal(syscall.SIGTERM)
	r := w.wait()
	assert.Equal(t, 143, r.code, r.stderr)
	assert.Zero(t, lifecycle.stops(), r.stderr)
	assert.Contains(t, r.stderr, "consul not asked to stop: it has not answered at http://127.0.0.1:19000/ready yet")

	startProxy(t, "127.0.0.1:19000", time.Hour)
	r = command(t, "--mesh=consul", "--ready-timeout=50ms", "--", "true").run()
	assert.Equal(t, 69, r.code, r.stderr)
	assert.Equal(t, 1, lifecycle.stops(), "it has answered, though it was not ready: %s", r.stderr)
}

// untilSeen runs a wrapper until its log contains some words. The wrapper gives a proxy that
// was not named very little time to answer, too little on a busy machine.
func untilSeen(words string, wrapper func() *process) (r result) {
	for tries := 0; tries < 50 && !strings.Contains(r.stderr, words); tries++ {
		r = wrapper().run()
	}
	return r
}

// A proxy that auto does not stop is named while somebody may still read the log.
func TestAutoNamesTheOthers(t *testing.T) {
	startProxy(t, "127.0.0.1:15000", 0) // the Envoy of Istio does not count as a proxy of its own
	startProxy(t, "127.0.0.1:15020", 0)
	startProxy(t, "127.0.0.1:15021", 0)
	startProxy(t, "127.0.0.1:9090", 0)
	sql := startProxy(t, "127.0.0.1:9091", 0)
	const warned = "warning: cloud-sql-proxy answers too, and is not stopped: this pod will not end after the command\nhint: name all of them, as in --mesh istio,cloud-sql-proxy"
	for _, said := range []string{"{}", `{"initContainers":["istio-proxy"]}`} {
		r := untilSeen("answers too", func() *process {
			return command(t, "--", "sh", "-c", "exit 3").env("JOBMESH_POD_ISTIO=" + said)
		})
		assert.Equal(t, 3, r.code, r.stderr)
		assert.Contains(t, r.stderr, warned)
		assert.Equal(t, 1, strings.Count(r.stderr, "answers too"), r.stderr)
	}
	for _, flag := range []string{"--native=cloud-sql-proxy", "--stop-when=never", "--mesh=istio"} {
		r := command(t, flag, "--", "true").env(`JOBMESH_POD_ISTIO={"initContainers":["istio-proxy"]}`).run()
		assert.Equal(t, 0, r.code, r.stderr)
		assert.NotContains(t, r.stderr, "answers too", flag)
	}
	assert.Zero(t, sql.stops())
}

// listenMutely accepts connections and never answers. The function taken, if any, is called for
// each connection.
func listenMutely(t *testing.T, addr string, taken func()) {
	t.Helper()
	listener := listen(t, addr)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }()
			if taken != nil {
				taken()
			}
		}
	}()
}

// A signal that arrives while the wrapper looks for other proxies is not lost: the command is
// not started, or, where it has been started, it gets the signal itself.
func TestSignalDuringTheLookAtTheOthers(t *testing.T) {
	startProxy(t, "127.0.0.1:15021", 0)
	looked := make(chan struct{}, 100)
	listenMutely(t, "127.0.0.1:3500", func() { looked <- struct{}{} })
	for range 5 {
		started := filepath.Join(t.TempDir(), "started")
		w := command(t, "--", "sh", "-c", "touch "+started+"; exec sleep 1000").
			env(`JOBMESH_POD_ISTIO={"initContainers":["istio-proxy"]}`).start()
		<-looked
		w.signal(syscall.SIGTERM)
		r := w.wait()
		assert.Equal(t, 143, r.code, r.stderr)
		if !strings.Contains(r.stderr, "handing over to it") {
			assert.NoFileExists(t, started)
		}
	}
}

// Servers that never answer, at ports of proxies that were not named, delay the command and the
// end only for a moment, which all of them share.
func TestMuteServersDelayLittle(t *testing.T) {
	for _, port := range []string{"3500", "4191", "9090", "9901", "9902", "19000"} {
		listenMutely(t, "127.0.0.1:"+port, nil)
	}
	startProxy(t, "127.0.0.1:15021", 0)
	startProxy(t, "127.0.0.1:15020", 0)
	const eachInTurn = 6 * 500 * time.Millisecond
	for _, said := range []string{"{}", `{"initContainers":["istio-proxy"]}`} {
		// The best of several runs counts, because a busy machine delays them too.
		best := eachInTurn
		for tries := 0; tries < 50 && best >= eachInTurn; tries++ {
			r := command(t, "--stop-timeout=1s", "--", "sh", "-c", "exit 3").env("JOBMESH_POD_ISTIO=" + said).run()
			assert.Equal(t, 3, r.code, r.stderr)
			best = min(best, r.took)
		}
		assert.Less(t, best, eachInTurn)
	}
}

// One such server does not hide a proxy that answers.
func TestMuteServerHidesNobody(t *testing.T) {
	listenMutely(t, "127.0.0.1:4191", nil)
	startProxy(t, "127.0.0.1:15021", 0)
	startProxy(t, "127.0.0.1:3500", 0)
	r := untilSeen("answers too", func() *process {
		return command(t, "--", "true").env(`JOBMESH_POD_ISTIO={"initContainers":["istio-proxy"]}`)
	})
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stderr, "dapr answers too")
}

// probe looks where auto looks: an agent whose Envoy does not run yet is not an Envoy of its
// own.
func TestProbeLooksWhereAutoLooks(t *testing.T) {
	startProxy(t, "127.0.0.1:15020", time.Hour)
	startProxy(t, "127.0.0.1:15000", time.Hour)
	r := command(t, "probe").run()
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Regexp(t, `(?m)^istio +- +answered 503 +no`, r.stdout)
	assert.NotRegexp(t, `(?m)^envoy`, r.stdout)
}

// Under the names of other wrappers, a native sidecar is left alone, too.
func TestDropInsLeaveNativeSidecars(t *testing.T) {
	p := startProxy(t, "127.0.0.1:4191", 0, func(p *proxy) { p.shutdown, p.stopCodes = `"false"`, []int{404} })
	for _, env := range []string{"JOBMESH_POD_LINKERD_NATIVE=true", "JOBMESH_POD_LINKERD=2.20.1"} {
		r := under(t, "linkerd-await", "-S", "--", "sh", "-c", "exit 3").env(env).run()
		assert.Equal(t, 3, r.code, r.stderr)
		assert.Empty(t, r.stderr)
	}
	assert.Zero(t, p.stops())

	istio := startProxy(t, "127.0.0.1:15020", 0)
	envoy := startProxy(t, "127.0.0.1:15000", 0)
	other := startProxy(t, "", 0)
	r := under(t, "scuttle", "sh", "-c", "exit 3").env("ENVOY_ADMIN_API=http://127.0.0.1:15000", "ISTIO_QUIT_API=http://127.0.0.1:15020",
		"GENERIC_QUIT_ENDPOINTS=http://"+other.addr+"/quitquitquit", `JOBMESH_POD_ISTIO={"initContainers":["istio-proxy"]}`).run()
	assert.Equal(t, 3, r.code, r.stderr)
	assert.Equal(t, []int{0, 0, 1}, []int{istio.stops(), envoy.stops(), other.stops()}, r.stderr)
}
