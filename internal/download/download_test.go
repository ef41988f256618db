package download

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/fault"
)

// content is a file that is longer than one buffer.
var content = []byte(strings.Repeat("a release binary ", 20_000))

// A server answers as the function answer does, and counts the requests.
type server struct {
	*httptest.Server
	hits atomic.Int32
}

func serve(t *testing.T, answer func(n int32, w http.ResponseWriter, r *http.Request)) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(s.hits.Add(1), w, r) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(s.Close)
	return s
}

// whole answers with the file, and supports ranges.
func whole(_ int32, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", `"one"`)
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(content)))
}

func fetcher(t *testing.T) (*Fetcher, *[]string) {
	t.Helper()
	var notes []string
	return &Fetcher{
		Allow: func(u *url.URL) error {
			if u.Hostname() != "127.0.0.1" || u.Scheme != "http" {
				return fmt.Errorf("%s://%s is not allowed", u.Scheme, u.Host)
			}
			return nil
		},
		Limit: 1 << 20,
		Cache: filepath.Join(t.TempDir(), "cache"),
		Note:  func(text string) { notes = append(notes, text) },
	}, &notes
}

func cached(t *testing.T, f *Fetcher) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(f.Cache, "sha256"))
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// The second time no server is asked.
func TestCache(t *testing.T) {
	s := serve(t, whole)
	f, notes := fetcher(t)
	got, err := f.Pinned(context.Background(), s.URL, pinOf(content))
	require.NoError(t, err)
	assert.Equal(t, content, got.Bytes)
	assert.Equal(t, []string{pinOf(content).SHA256}, cached(t, f))
	_, err = f.Pinned(context.Background(), s.URL, pinOf(content))
	require.NoError(t, err)
	assert.EqualValues(t, 1, s.hits.Load())

	// Offline is tried with a full cache, and with one that lacks the file.
	f.Offline = true
	s.Close()
	_, err = f.Pinned(context.Background(), s.URL, pinOf(content))
	require.NoError(t, err)
	_, err = f.Pinned(context.Background(), s.URL+"/other?token=hunter2", pinOf([]byte("other")))
	require.EqualError(t, err, s.URL+"/other: is not in the cache, and --offline allows no download")
	assert.Equal(t, fault.Input, fault.Code(err))
	assert.Empty(t, *notes)
}

// A damaged file in the cache is noticed, and is fetched again.
func TestDamagedCache(t *testing.T) {
	for name, damage := range map[string][]byte{
		"a flipped bit": append([]byte("b"), content[1:]...), "truncated": content[:100], "empty": {},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, whole)
			f, notes := fetcher(t)
			_, err := f.Pinned(context.Background(), s.URL, pinOf(content))
			require.NoError(t, err)
			path := f.path(pinOf(content))
			require.NoError(t, os.WriteFile(path, damage, 0o644))

			f.Offline = true
			_, err = f.Pinned(context.Background(), s.URL, pinOf(content))
			require.EqualError(t, err, s.URL+": is damaged in the cache, and --offline allows no download")
			assert.Equal(t, fault.Input, fault.Code(err))

			f.Offline = false
			got, err := f.Pinned(context.Background(), s.URL, pinOf(content))
			require.NoError(t, err)
			assert.Equal(t, content, got.Bytes)
			mended, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, content, mended)
			assert.Contains(t, (*notes)[0], "is damaged and is not used")
		})
	}
}

// An entry of the cache that is not a regular file is ignored, and nobody waits for it.
func TestCacheEntryThatIsNoFile(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"a named pipe":       func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a link to a device": func(path string) error { return os.Symlink("/dev/zero", path) },
		"too much":           func(path string) error { return os.WriteFile(path, append(slices.Clone(content), 'x'), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, whole)
			f, notes := fetcher(t)
			path := f.path(pinOf(content))
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			require.NoError(t, make(path))
			f.Offline = true
			_, err := f.Pinned(context.Background(), s.URL, pinOf(content))
			require.ErrorContains(t, err, "is damaged in the cache")
			f.Offline = false
			got, err := f.Pinned(context.Background(), s.URL, pinOf(content))
			require.NoError(t, err)
			assert.Equal(t, content, got.Bytes)
			assert.Contains(t, (*notes)[0], "is damaged and is not used")
		})
	}
}

// A cache that cannot be written only costs a download.
func TestCacheThatCannotBeWritten(t *testing.T) {
	s := serve(t, whole)
	f, notes := fetcher(t)
	require.NoError(t, os.WriteFile(f.Cache, nil, 0o600))
	_, err := f.Pinned(context.Background(), s.URL, pinOf(content))
	require.NoError(t, err)
	assert.Contains(t, (*notes)[len(*notes)-1], "the cache cannot be written")
	f.Cache = ""
	_, err = f.Pinned(context.Background(), s.URL, pinOf(content))
	require.NoError(t, err)
}

// These are answers without the file.
func TestWhatIsNotTheFile(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		code   int
		want   string
		hint   string
	}{
		"20: a flipped byte": {func(w http.ResponseWriter) { _, _ = w.Write(append([]byte("b"), content[1:]...)) }, fault.Input,
			"/file is not what was locked: sha256 ", ""},
		"22: longer than locked": {func(w http.ResponseWriter) {
			w.(http.Flusher).Flush()
			_, _ = w.Write(content)
			_, _ = w.Write([]byte("more"))
		}, fault.Input, "has more than the 340000 bytes that were locked", ""},
		"22: says that it is longer": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", strconv.Itoa(len(content)+1))
			_, _ = w.Write(append(content, 'x'))
		}, fault.Input, "has more than the 340000 bytes that were locked", ""},
		"23: a page": {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>sign in</html>") }, fault.Input,
			"is not what was locked", "the server sent text/html; charset=utf-8, a web page in place of a program"},
		"24: 404":         {func(w http.ResponseWriter) { w.WriteHeader(404) }, fault.Input, "/file does not exist (404)", "does the release have a file"},
		"410":             {func(w http.ResponseWriter) { w.WriteHeader(410) }, fault.Input, "/file does not exist (404)", ""},
		"403":             {func(w http.ResponseWriter) { w.WriteHeader(403) }, fault.Registry, "/file: answered 403", ""},
		"shorter, in one": {func(w http.ResponseWriter) { _, _ = w.Write(content[:5]) }, fault.Input, "(5 bytes), not ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(_ int32, w http.ResponseWriter, _ *http.Request) { c.answer(w) })
			f, _ := fetcher(t)
			_, err := f.Pinned(context.Background(), s.URL+"/file?token=hunter2", pinOf(content))
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "hunter2")
			assert.Equal(t, c.code, fault.Code(err))
			assert.Contains(t, strings.Join(fault.Hints(err), "\n"), c.hint)
			assert.Empty(t, cached(t, f), "it is not kept")
			assert.EqualValues(t, 1, s.hits.Load(), "and not asked for again")
		})
	}
}

// Nothing is read beyond the limit.
func TestEndlessFileIsNotRead(t *testing.T) {
	var sent atomic.Int64
	s := serve(t, func(_ int32, w http.ResponseWriter, r *http.Request) {
		block := make([]byte, 32<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
			sent.Add(int64(len(block)))
		}
	})
	f, _ := fetcher(t)
	_, err := f.New(context.Background(), s.URL)
	require.EqualError(t, err, s.URL+" has more than 1048576 bytes, the most that maxSize allows")
	assert.Equal(t, fault.Input, fault.Code(err))
	assert.Less(t, sent.Load(), int64(64<<20), "what is more than the limit fills the buffers of a connection")
}

// The connection breaks off.
func TestResume(t *testing.T) {
	// partly sends half of what is requested, and closes the connection.
	partly := func(w http.ResponseWriter, from int, status int) {
		rest := content[from:]
		if status == http.StatusPartialContent {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(rest)))
		w.WriteHeader(status)
		_, _ = w.Write(rest[:len(rest)/2])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	t.Run("with Range it goes on", func(t *testing.T) {
		var ranges []string
		s := serve(t, func(n int32, w http.ResponseWriter, r *http.Request) {
			ranges = append(ranges, r.Header.Get("Range")+" "+r.Header.Get("If-Range"))
			w.Header().Set("ETag", `"one"`)
			switch n {
			case 1:
				partly(w, 0, 200)
			case 2:
				partly(w, len(content)/2, 206)
			default:
				whole(n, w, r)
			}
		})
		f, _ := fetcher(t)
		got, err := f.Pinned(context.Background(), s.URL, pinOf(content))
		require.NoError(t, err)
		assert.Equal(t, content, got.Bytes)
		assert.Equal(t, []string{" ", `bytes=170000- "one"`, `bytes=255000- "one"`}, ranges)
	})
	for name, answer := range map[string]func(n int32, w http.ResponseWriter, r *http.Request){
		"without a validator it starts again": func(n int32, w http.ResponseWriter, r *http.Request) {
			assert.Empty(t, r.Header.Get("Range"))
			if n == 1 {
				partly(w, 0, 200)
			}
			_, _ = w.Write(content)
		},
		"another file by now": func(n int32, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n))
			if n == 1 {
				partly(w, 0, 200)
			}
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(content)))
		},
		"another range": func(n int32, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"one"`)
			switch n {
			case 1:
				partly(w, 0, 200)
			case 2:
				w.Header().Set("Content-Range", "bytes 5-9/340000")
				w.WriteHeader(206)
				_, _ = io.WriteString(w, "wrong")
			default:
				whole(n, w, r)
			}
		},
		"no such range": func(n int32, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"one"`)
			switch n {
			case 1:
				partly(w, 0, 200)
			case 2:
				w.WriteHeader(416)
			default:
				whole(n, w, r)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, answer)
			f, _ := fetcher(t)
			got, err := f.Pinned(context.Background(), s.URL, pinOf(content))
			require.NoError(t, err)
			assert.Equal(t, content, got.Bytes)
		})
	}
	t.Run("for ever", func(t *testing.T) {
		s := serve(t, func(_ int32, w http.ResponseWriter, _ *http.Request) { partly(w, 0, 200) })
		f, _ := fetcher(t)
		_, err := f.Pinned(context.Background(), s.URL, pinOf(content))
		require.EqualError(t, err, s.URL+": the connection broke off 5 times, the last time after 170000 bytes")
		assert.Equal(t, fault.Registry, fault.Code(err))
		assert.EqualValues(t, tries, s.hits.Load())
		assert.Empty(t, cached(t, f))
	})
}

// No redirect is followed to a host that is not allowed, or away from HTTPS.
func TestRedirects(t *testing.T) {
	s := serve(t, whole)
	var to string
	redirecting := serve(t, func(_ int32, w http.ResponseWriter, r *http.Request) {
		if to == "self" {
			http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
			return
		}
		http.Redirect(w, r, to, http.StatusFound)
	})
	f, _ := fetcher(t)
	to = s.URL + "/moved"
	_, err := f.Pinned(context.Background(), redirecting.URL, pinOf(content))
	require.NoError(t, err)
	f.Cache = ""
	for target, want := range map[string]string{
		"https://127.0.0.1:1/x?token=hunter2": "refused: it redirects, and https://127.0.0.1:1 is not allowed",
		"http://elsewhere.invalid/":           "refused: it redirects, and http://elsewhere.invalid is not allowed",
		"ftp://127.0.0.1/":                    "refused: it redirects, and ftp://127.0.0.1 is not allowed",
		"self":                                "refused: more than 5 redirects",
	} {
		to = target
		_, err := f.Pinned(context.Background(), redirecting.URL+"/", pinOf(content))
		require.EqualError(t, err, redirecting.URL+"/: "+want)
		assert.Equal(t, fault.Registry, fault.Code(err))
	}
	_, err = f.New(context.Background(), "http://elsewhere.invalid/file")
	require.EqualError(t, err, "http://elsewhere.invalid/file: refused: http://elsewhere.invalid is not allowed")
}

func TestInterruption(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := serve(t, func(_ int32, w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(content[:100])
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
	})
	f, _ := fetcher(t)
	_, err := f.New(ctx, s.URL)
	assert.ErrorIs(t, err, context.Canceled)
}
