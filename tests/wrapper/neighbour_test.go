package wrapper

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostile lists what a neighbour may put in place of a file.
var hostile = map[string]func(t *testing.T, path string){
	"a named pipe": func(t *testing.T, path string) {
		require.NoError(t, syscall.Mkfifo(path, 0o666))
		require.NoError(t, os.Chmod(path, 0o666))
	},
	"a socket": func(t *testing.T, path string) {
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		t.Cleanup(func() { _ = syscall.Close(fd) })
		// A name relative to the folder is short enough for the address of a socket.
		dir, err := os.Open(filepath.Dir(path))
		require.NoError(t, err)
		defer func() { _ = dir.Close() }()
		require.NoError(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))}))
	},
	"a folder": func(t *testing.T, path string) { require.NoError(t, os.Mkdir(path, 0o777)) },
	"a folder with something in it": func(t *testing.T, path string) {
		require.NoError(t, os.MkdirAll(filepath.Join(path, "x"), 0o777))
	},
	"a link to nothing": func(t *testing.T, path string) {
		require.NoError(t, os.Symlink(beside(path), path))
		t.Cleanup(func() { assert.NoFileExists(t, beside(path), "somebody else's file was made") })
	},
	"a link to a file": func(t *testing.T, path string) {
		require.NoError(t, os.WriteFile(beside(path), []byte("precious"), 0o600))
		require.NoError(t, os.Symlink(beside(path), path))
		t.Cleanup(func() {
			content, err := os.ReadFile(beside(path))
			assert.NoError(t, err)
			assert.Equal(t, "precious", string(content), "somebody else's file was written")
		})
	},
	"a link to a folder": func(t *testing.T, path string) { require.NoError(t, os.Symlink("/", path)) },
	"a link to itself":   func(t *testing.T, path string) { require.NoError(t, os.Symlink(filepath.Base(path), path)) },
	"a device": func(t *testing.T, path string) {
		if err := syscall.Mknod(path, syscall.S_IFCHR|0o666, 1<<8|5); err != nil { // /dev/zero
			t.Skip("needs root to make a device: ", err)
		}
	},
	"a device that nobody serves": func(t *testing.T, path string) {
		if err := syscall.Mknod(path, syscall.S_IFBLK|0o666, 0xfe<<8|0xfe); err != nil {
			t.Skip("needs root to make a device: ", err)
		}
	},
}

// beside returns a path in another folder than the one that the neighbour shares.
func beside(path string) string { return filepath.Dir(path) + ".ledger" }

// untrusted returns the shared folder of a pod's containers, and one of three members.
func untrusted(t *testing.T, p *proxy, argv ...string) (dir string, w *process) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "state")
	require.NoError(t, os.Mkdir(dir, 0o777))
	return dir, wrapped(t, p, []string{"--state-dir=" + dir, "--member=main", "--members=3", "--stop-timeout=" + beyond}, argv...)
}

// Containers that are not trusted share the folder. Whatever they put into it, the command runs
// and keeps its code, the proxy is stopped, and the log names the file.
func TestNothingInTheStateFolderIsFollowedWaitedForOrTruncated(t *testing.T) {
	for kind, plant := range hostile {
		for _, file := range []string{".turn", "main.lock", "main.done", "main.restarts", "other.lock", "other.done", "other.restarts"} {
			for when, early := range map[string]bool{"before the command": true, "while it runs": false} {
				t.Run(kind+" as "+file+" "+when, func(t *testing.T) {
					t.Parallel()
					p, gate := startProxy(t, "", 0), newGate(t)
					dir, w := untrusted(t, p, "sh", "-c", gate.wait()+"exit 7")
					path := filepath.Join(dir, file)
					if early {
						plant(t, path)
					}
					w.start().until("command started")
					if !early {
						require.NoError(t, os.RemoveAll(path))
						plant(t, path)
					}
					gate.open()
					r := w.wait()
					assert.Equal(t, 7, r.code, r.stderr)
					assert.Equal(t, 1, p.stops(), r.stderr)
					assert.Contains(t, r.stderr, "error: --state-dir "+dir+": "+file+" is not a regular file")
					assert.Contains(t, r.stderr, "hint: ")
				})
			}
		}
	}
}

// A file whose owner is a neighbour is refused, too.
func TestStateFileThatMayNotBeRead(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	for _, file := range []string{".turn", "main.lock", "other.lock"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, "", 0)
			dir, err := os.MkdirTemp("", "jobmesh-state-")
			require.NoError(t, err)
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			require.NoError(t, os.Chmod(dir, 0o777))
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), nil, 0o600)) // the file belongs to root
			w := wrapped(t, p, []string{"--state-dir=" + dir, "--member=main", "--members=3"}, "sh", "-c", "exit 7")
			w.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
			r := w.run()
			assert.Equal(t, 7, r.code, r.stderr)
			assert.Equal(t, 1, p.stops(), r.stderr)
			assert.Contains(t, r.stderr, "error: --state-dir "+dir+": "+file+": permission denied")
		})
	}
}

// The content of a file does not matter, and stays as it is.
func TestStateFilesKeepTheirContent(t *testing.T) {
	p := startProxy(t, "", 0)
	dir, w := untrusted(t, p, "sh", "-c", "for f in .turn main.done other.lock third.done; do echo precious > $0/$f; done; exit 7", "")
	w.cmd.Args[len(w.cmd.Args)-1] = dir
	r := w.run()
	assert.Equal(t, 7, r.code, r.stderr)
	assert.Equal(t, 1, p.stops(), r.stderr)
	for _, file := range []string{".turn", "main.done", "other.lock", "third.done"} {
		content, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		assert.Equal(t, "precious\n", string(content), file)
	}
}

// A neighbour that never releases the lock does not block the others for ever, and hides no
// mark.
func TestTheTurnIsNotWaitedForAtTheEnd(t *testing.T) {
	p, gate := startProxy(t, "", 0), newGate(t)
	dir, w := untrusted(t, p, "sh", "-c", gate.wait()+"exit 7")
	w.start().until("command started")
	turn, err := os.Open(filepath.Join(dir, ".turn"))
	require.NoError(t, err)
	defer func() { _ = turn.Close() }()
	require.NoError(t, syscall.Flock(int(turn.Fd()), syscall.LOCK_EX))
	gate.open()
	r := w.wait()
	assert.Equal(t, 7, r.code, r.stderr)
	assert.Contains(t, r.stderr, "error: --state-dir "+dir)
	assert.FileExists(t, filepath.Join(dir, "main.done"))
}

// The same holds beside a mistake on the command line.
func TestUsageErrorInAnUntrustedFolderStopsTheProxy(t *testing.T) {
	p := startProxy(t, "127.0.0.1:4191", 0)
	dir := t.TempDir()
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, ".turn"), 0o666))
	r := command(t, "--state-dir="+dir, "--members=2", "--member=a", "--bogus", "--", "true").env("JOBMESH_POD_LINKERD=2.19.0").run()
	assert.Equal(t, 64, r.code, r.stderr)
	assert.Equal(t, 1, p.stops(), r.stderr)
	assert.Contains(t, r.stderr, ".turn is not a regular file")
}

// A /dev/termination-log that is not a regular file is left alone, and is reported once.
func TestTerminationLogThatIsNoFile(t *testing.T) {
	const at = "/dev/termination-log"
	for name, plant := range map[string]string{
		"a named pipe":     "mkfifo " + at,
		"one that is read": "mkfifo " + at + "; sleep 1000 < " + at + " & sleep 1000 > " + at + " &",
		"a link to a file": "echo precious > /dev/other; ln -s other " + at,
		"a link to none":   "ln -s other " + at,
		"a folder":         "mkdir " + at,
		"a device":         "mknod " + at + " c 1 3",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, "", 0, func(p *proxy) { p.stopCodes = []int{404} })
			w := wrapped(t, p, nil, "sh", "-c", "exit 3").withMounts()
			script := "mount -t tmpfs none /dev && : > /dev/null && { " + plant + "\n} || exit 99\n" +
				`"$0" "$@"; code=$?; if [ -e /dev/other ]; then cat /dev/other; fi; exit $code`
			w.cmd.Args = append([]string{"sh", "-c", script, binary}, w.cmd.Args[1:]...)
			w.cmd.Path = "/bin/sh"
			r := w.run()
			if r.code == 99 {
				t.Skip("may not be made here: ", r.stderr)
			}
			assert.Equal(t, 3, r.code, r.stderr)
			assert.Equal(t, 1, p.stops())
			assert.Equal(t, 1, strings.Count(r.stderr, "error: "+at+" is not a regular file"), r.stderr)
			want := ""
			if name == "a link to a file" {
				want = "precious\n"
			}
			assert.Equal(t, want, r.stdout)
		})
	}
}

// fullPipe returns a pipe that is full and that nobody reads.
func fullPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	var ends [2]int
	require.NoError(t, syscall.Pipe2(ends[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK))
	for {
		if _, err := syscall.Write(ends[1], make([]byte, 4096)); err != nil {
			require.Equal(t, syscall.EAGAIN, err)
			break
		}
	}
	for _, fd := range ends {
		require.NoError(t, syscall.SetNonblock(fd, false))
	}
	reader, writer = os.NewFile(uintptr(ends[0]), "reader"), os.NewFile(uintptr(ends[1]), "writer")
	t.Cleanup(func() { _, _ = reader.Close(), writer.Close() })
	return reader, writer
}

// A stderr that nobody reads blocks neither the command nor the stop.
func TestStalledStderr(t *testing.T) {
	t.Run("from the start", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "", 0)
		w := wrapped(t, p, nil, "sh", "-c", "echo ran; exit 4")
		_, w.cmd.Stderr = fullPipe(t)
		r := w.run()
		assert.Equal(t, 4, r.code)
		assert.Equal(t, "ran\n", r.stdout)
		assert.Equal(t, 1, p.stops())
	})
	t.Run("beside SIGTERM", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "", time.Hour)
		w := wrapped(t, p, []string{"--ready-timeout=" + beyond}, "true").asInit()
		_, w.cmd.Stderr = fullPipe(t)
		w.start()
		p.untilAsked()
		w.signal(syscall.SIGTERM)
		assert.Equal(t, 143, w.wait().code)
		assert.Equal(t, 1, p.untilStopped())
	})
	t.Run("filled by the command", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "", 0)
		w := wrapped(t, p, nil, "sh", "-c", "cat /dev/zero >&2 & sleep 1; kill -9 $!; exit 5")
		reader, writer, err := os.Pipe()
		require.NoError(t, err)
		defer func() { _, _ = reader.Close(), writer.Close() }()
		w.cmd.Stderr = writer
		assert.Equal(t, 5, w.run().code)
		assert.Equal(t, 1, p.stops())
	})
	t.Run("read again", func(t *testing.T) {
		t.Parallel()
		p, gate := startProxy(t, "", 0), newGate(t)
		w := wrapped(t, p, nil, "sh", "-c", gate.wait()+"exit 4")
		reader, writer := fullPipe(t)
		w.cmd.Stderr = writer
		w.start()
		require.NoError(t, writer.Close())
		gate.open()
		text, err := io.ReadAll(reader)
		require.NoError(t, err)
		assert.Equal(t, 4, w.wait().code)
		assert.Contains(t, string(text), "jobmesh-wrap: proxy stopped after")
	})
}
