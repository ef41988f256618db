package upstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/download"
	"github.com/jobmesh/jobmesh/internal/elfcheck"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
)

// Fetcher returns a fetcher for the files of a recipe, with this user's cache. The function
// note gets messages that are not failures.
func Fetcher(d image.Download, offline bool, note func(string)) *download.Fetcher {
	return &download.Fetcher{Allow: d.Allows, Limit: d.Limit(), Cache: download.CacheFolder(), Offline: offline, Note: note}
}

// Pin downloads the file of each platform from upstream, and returns the lock for them. The
// error has all mistakes; progress is called before each download.
func Pin(ctx context.Context, r image.Recipe, from *download.Fetcher, progress func(platform string)) (Lock, error) {
	l := Lock{Recipe: stamp(r), Tag: r.Download.Tag, Version: r.Download.Version}
	var wrong []error
	for _, p := range r.Platforms {
		progress(p)
		url, err := r.Download.URL(p)
		if err != nil {
			return l, fault.New(fault.Usage, err)
		}
		file, err := from.New(ctx, url)
		switch {
		case ctx.Err() != nil:
			return l, ctx.Err()
		case errors.Is(err, download.ErrMissing) && slices.Contains(r.Download.AllowMissing, p):
			l.Missing = append(l.Missing, p)
			continue
		case err == nil:
			err = inspect(r, p, file, from.Note)
		}
		if err != nil {
			wrong = append(wrong, ofPlatform(p, err))
			continue
		}
		l.Files = append(l.Files, Locked{Platform: p, URL: url, Size: file.Size, SHA256: file.SHA256})
	}
	if len(wrong) == 0 && len(l.Files) == 0 {
		return l, fault.New(fault.Input, fmt.Errorf("image %s: upstream has no file for any platform", r.Name))
	}
	return l, fault.Join(wrong)
}

// Fetch returns the pinned files of the platforms, and checks them again. It leaves out a
// platform for which upstream has no file.
func (l Lock) Fetch(ctx context.Context, r image.Recipe, platforms []image.Platform, from *download.Fetcher, progress func(platform string)) (map[string]image.File, error) {
	files := map[string]image.File{}
	var wrong []error
	for _, f := range l.Files {
		if !slices.ContainsFunc(platforms, func(p image.Platform) bool { return p.Name == f.Platform }) {
			continue
		}
		progress(f.Platform)
		file, err := from.Pinned(ctx, f.URL, f.pin())
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			err = inspect(r, f.Platform, file, from.Note)
		}
		if err != nil {
			wrong = append(wrong, ofPlatform(f.Platform, err))
			continue
		}
		files[f.Platform] = image.File{
			Path: r.Download.Path, Bytes: file.Bytes, URL: f.URL, Version: l.Version, License: r.Download.License,
		}
	}
	return files, fault.Join(wrong)
}

// inspect checks that a file is a program for the platform that needs no other file to run.
func inspect(r image.Recipe, platform string, file download.File, note func(string)) error {
	err := elfcheck.Static(file.Bytes, platform)
	switch {
	case errors.Is(err, elfcheck.ErrDynamic) && r.Download.Dynamic:
		note(fmt.Sprintf("%s for %s needs shared libraries, which image.yaml allows and the image does not have", r.Download.Name, platform))
		return nil
	case err == nil:
		return nil
	}
	var hints []string
	if strings.HasPrefix(file.Type, "text/") {
		hints = append(hints, "the server sent "+file.Type+", a web page in place of a program")
	}
	return fault.New(fault.Input, fmt.Errorf("%s is not a program for this platform: %w", r.Download.Name, err), hints...)
}

func ofPlatform(platform string, err error) error {
	return fault.New(fault.Code(err), fmt.Errorf("%s: %w", platform, err), fault.Hints(err)...)
}
