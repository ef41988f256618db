// Package site checks the site that `make site` builds, in headless Chromium. Every page is loaded as on a telephone
// and as on a desktop, in light and in dark:
//
//   - Nothing fails in the console, and nothing is requested from another host.
//   - No page is wider than a telephone.
//   - Links and anchors lead to existing pages. Links to other hosts are not followed.
//   - axe finds nothing: contrast, headings, names, languages, and its other rules.
//   - The search finds what people look for.
//
// JOBMESH_SITE is the folder of the site, and JOBMESH_AXE the file axe.min.js. JOBMESH_SCREENSHOTS, if it is set, is a
// folder for pictures of some pages. ci/site-check sets all of them.
package site

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long one page may take on a busy machine.
const patience = 5 * time.Minute

// telephone is the width of a small telephone, in pixels.
const telephone = 390

// folder returns the folder of the site.
func folder(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("JOBMESH_SITE")
	if dir == "" {
		dir = "../../site"
	}
	require.FileExists(t, filepath.Join(dir, "index.html"), "hint: make site")
	return dir
}

// serve serves the site on the loopback interface.
func serve(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.FileServer(http.Dir(folder(t))))
	t.Cleanup(server.Close)
	return server
}

// pages returns the paths of all pages of the site.
func pages(t *testing.T) []string {
	t.Helper()
	dir := folder(t)
	var all []string
	require.NoError(t, filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Ext(file) == ".html" {
			name, err := filepath.Rel(dir, file)
			all = append(all, filepath.ToSlash(name))
			return err
		}
		return err
	}))
	require.NotEmpty(t, all)
	return all
}

// browser starts Chromium. In it, only the names of the loopback interface resolve.
func browser(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, // Chromium has no sandbox for root, and the pages are ours
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.WSURLReadTimeout(patience),
	)
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx), "hint: apt-get install chromium")
	return ctx
}

// A tab is a page of the browser, with the errors that were seen in it.
type tab struct {
	context.Context
	server string

	mu     sync.Mutex
	errors []string
}

func open(t *testing.T, browser context.Context, server *httptest.Server) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	opened := &tab{Context: ctx, server: server.URL}
	require.NoError(t, chromedp.Do(ctx, command(network.Enable, network.EnableParams{}), command(log.Enable, cdp.Empty{}), command(runtime.Enable, cdp.Empty{})))
	require.NoError(t, chromedp.Listen(ctx, opened.listen))
	return opened
}

// listen keeps the errors that the browser reports, and requests to other hosts.
func (b *tab) listen(event any) {
	complaint := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		complaint = e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			complaint += " " + e.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" {
			complaint = fmt.Sprint("the console has: ", e.Type)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" {
			complaint = e.Entry.Text + " " + e.Entry.URL
		}
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, b.server+"/") && !strings.HasPrefix(e.Request.URL, "data:") {
			complaint = "asks another host for " + e.Request.URL
		}
	}
	if complaint != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.errors = append(b.errors, complaint)
	}
}

// complaints returns what was kept, and forgets it.
func (b *tab) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := b.errors
	b.errors = nil
	return found
}

func (b *tab) run(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.Context, patience)
	defer cancel()
	require.NoError(t, chromedp.Do(ctx, actions...))
}

// scheme sets the colour scheme that the reader prefers, light or dark.
func scheme(name string) chromedp.Action[chromedp.Void] {
	return command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
}

// command makes a step of a protocol command.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// keep makes a step that stores the value of an action.
func keep[T any](action chromedp.Action[T], to *T) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) (err error) {
		*to, err = action(ctx, t)
		return err
	})
}

// A look is what a page reports about itself.
type look struct {
	Width   int      `json:"width"`
	Wide    []string `json:"wide"`
	Links   []string `json:"links"`
	Anchors []string `json:"anchors"`
	Title   string   `json:"title"`
}

const lookScript = `(() => ({
  width: document.documentElement.scrollWidth,
  wide: [...document.querySelectorAll("article *")].filter(e => e.getBoundingClientRect().right > window.innerWidth &&
    !e.closest("pre, .table-wrapper, .highlight")).slice(0, 5).map(e => e.tagName + " " + e.textContent.trim().slice(0, 60)),
  links: [...document.querySelectorAll("a[href]")].map(a => a.href),
  anchors: [...document.querySelectorAll("[id]")].map(e => e.id),
  title: document.title,
}))()`

func TestPages(t *testing.T) {
	server := serve(t)
	chromium := browser(t)
	axe, err := os.ReadFile(os.Getenv("JOBMESH_AXE"))
	require.NoError(t, err, "JOBMESH_AXE is to be the file axe.min.js")
	all := pages(t)

	looks := map[string]look{}
	var mu sync.Mutex
	queue := make(chan string)
	var workers sync.WaitGroup
	for range 2 {
		b := open(t, chromium, server)
		workers.Go(func() {
			for page := range queue {
				found, wrong := visit(b, page, string(axe))
				mu.Lock()
				looks[page] = found
				mu.Unlock()
				for _, w := range wrong {
					t.Errorf("%s: %s", page, w)
				}
			}
		})
	}
	for _, page := range all {
		queue <- page
	}
	close(queue)
	workers.Wait()
	checkLinks(t, server.URL, looks)
	t.Logf("%d pages", len(all))
}

// visit loads one page, as on a telephone in dark and then as on a desktop in light, and returns what is wrong with it.
func visit(b *tab, page, axe string) (found look, wrong []string) {
	ctx, cancel := context.WithTimeout(b.Context, patience)
	defer cancel()
	var dark, light []string
	err := chromedp.Do(ctx,
		scheme("dark"), chromedp.EmulateViewport(telephone, 844),
		chromedp.Navigate(b.server+"/"+page), chromedp.WaitReady("body"),
		keep(chromedp.Evaluate[look](lookScript), &found),
		chromedp.Evaluate[chromedp.Void](axe),
		judge(`{runOnly: ["color-contrast"]}`, &dark),
		scheme("light"), chromedp.EmulateViewport(1280, 900),
		judge(`{}`, &light),
	)
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	if found.Width > telephone {
		wrong = append(wrong, fmt.Sprintf("is %d pixels wide, and a telephone %d: %q", found.Width, telephone, found.Wide))
	}
	if found.Title == "" {
		wrong = append(wrong, "has no title")
	}
	for _, finding := range dark {
		wrong = append(wrong, "in the dark, "+finding)
	}
	wrong = append(wrong, light...)
	return found, append(wrong, b.complaints()...)
}

// judge runs axe on the open page. Chromium itself makes blocks of code that scroll reachable with the keyboard.
func judge(options string, findings *[]string) chromedp.Action[chromedp.Void] {
	script := `axe.run(document, ` + options + `).then(r => r.violations.flatMap(v => v.nodes.slice(0, 3).map(n =>
    v.id + ": " + v.help + ": " + n.html.slice(0, 200) + " " + (n.any[0] ? n.any[0].message : ""))))`
	return keep(chromedp.Evaluate[[]string](script, chromedp.EvalAwaitPromise), findings)
}

// checkLinks follows the links of all pages, if they stay in the site.
func checkLinks(t *testing.T, server string, looks map[string]look) {
	t.Helper()
	for page, found := range looks {
		for _, link := range found.Links {
			target, err := url.Parse(link)
			if !assert.NoError(t, err, "%s links to %q", page, link) || target.Scheme+"://"+target.Host != server {
				continue
			}
			name := strings.TrimPrefix(path.Clean(target.Path), "/")
			if name == "" {
				name = "index.html"
			}
			file := filepath.Join(folder(t), filepath.FromSlash(name))
			if info, err := os.Stat(file); !assert.NoError(t, err, "%s links to %s", page, link) || info.IsDir() {
				continue
			}
			if there, isPage := looks[name]; isPage && target.Fragment != "" {
				assert.Contains(t, there.Anchors, target.Fragment, "%s links to %s", page, link)
			}
		}
	}
}

// TestSearch searches for what people look for, and expects the page that answers it.
func TestSearch(t *testing.T) {
	server := serve(t)
	b := open(t, browser(t), server)
	for query, want := range map[string]string{
		"JM101":                             "/docs/rules/JM101.html",
		"NotReady":                          "/docs/a-job-hangs-now.html",
		"field is immutable":                "/docs/upgrade.html",
		"config.linkerd.io":                 "/docs/meshes.html",
		"shutdown endpoint is not enabled":  "/docs/what-it-means.html",
		"was pushed but does not come back": "/docs/messages/cli.html",
		"podReplacementPolicy":              "/docs/a-job-hangs-now.html",
		"jobmesh.podSpec":                   "/docs/chart.html",
		"--stop-when":                       "/docs/wrapper.html",
		"quitquitquit scuttle":              "/docs/upgrade.html",
	} {
		var found []string
		b.run(t,
			chromedp.Navigate(server.URL+"/search.html?q="+url.QueryEscape(query)),
			// While the search runs, its heading begins with "Searching".
			keep(chromedp.Poll[[]string](`(heading => heading && !heading.textContent.startsWith("Searching") &&
				[...document.querySelectorAll("#search-results ul.search li > a")].map(a => new URL(a.href).pathname))(document.querySelector("#search-results > h2"))`,
				chromedp.WithPollingInterval(100*time.Millisecond), chromedp.WithPollingTimeout(patience)), &found),
		)
		assert.Contains(t, found, want, "the search for %q", query)
		assert.Empty(t, b.complaints(), query)
	}
}

// TestPrint checks that paper shows the text, without elements that only make sense on a screen.
func TestPrint(t *testing.T) {
	server := serve(t)
	b := open(t, browser(t), server)
	var shown map[string]string
	b.run(t,
		chromedp.Navigate(server.URL+"/docs/lint.html"),
		command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"}),
		keep(chromedp.Evaluate[map[string]string](`Object.fromEntries([".sidebar-drawer", ".toc-drawer", "article"].map(s => [s, getComputedStyle(document.querySelector(s)).display]))`), &shown),
	)
	assert.Equal(t, map[string]string{".sidebar-drawer": "none", ".toc-drawer": "none", "article": "block"}, shown)
}

// TestScreenshots writes pictures of some pages, for people to look at.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("JOBMESH_SCREENSHOTS")
	if dir == "" {
		t.Skip("JOBMESH_SCREENSHOTS names no folder")
	}
	server := serve(t)
	b := open(t, browser(t), server)
	var shots []struct {
		Page, Scheme string
		Width        int64
	}
	require.NoError(t, json.Unmarshal([]byte(screenshots), &shots))
	for i, shot := range shots {
		var picture []byte
		b.run(t,
			scheme(shot.Scheme), chromedp.EmulateViewport(shot.Width, 1000),
			chromedp.Navigate(server.URL+"/"+shot.Page),
			keep(chromedp.CaptureScreenshot(), &picture),
		)
		name := fmt.Sprintf("%02d-%s-%d-%s.png", i, strings.NewReplacer("/", "-", ".html", "", "?", "-").Replace(shot.Page), shot.Width, shot.Scheme)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), picture, 0o644))
	}
}

const screenshots = `[
  {"Page": "index.html", "Scheme": "light", "Width": 1280},
  {"Page": "index.html", "Scheme": "dark", "Width": 390},
  {"Page": "docs/a-job-hangs-now.html", "Scheme": "light", "Width": 390},
  {"Page": "docs/a-job-hangs-now.html", "Scheme": "dark", "Width": 1280},
  {"Page": "docs/rules/JM101.html", "Scheme": "light", "Width": 1280},
  {"Page": "docs/rules/index.html", "Scheme": "dark", "Width": 390},
  {"Page": "docs/chart.html", "Scheme": "light", "Width": 390},
  {"Page": "docs/cli.html", "Scheme": "light", "Width": 1280},
  {"Page": "docs/kinds.html", "Scheme": "light", "Width": 390},
  {"Page": "search.html?q=NotReady", "Scheme": "light", "Width": 1280}
]`
