package entrypoint

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/lockfile"
)

// atOnce is the number of images that are looked up at the same time: enough to hide the
// latency of a registry, and too few to look like an attack.
const atOnce = 4

// Registries know what images run.
type Registries interface {
	// Image returns what an image runs, and its digest.
	Image(ctx context.Context, image string) (lockfile.Entry, error)
	// Digest returns the digest that an image has now.
	Digest(ctx context.Context, image string) (string, error)
}

// A Status says what was done for one image.
type Status string

// These are all statuses.
const (
	Added   Status = "added"
	Updated Status = "updated"
	Locked  Status = "locked"
)

// An Outcome is one image that is used, with its entry in the lock file.
type Outcome struct {
	lockfile.Entry
	Status Status
}

// Resolve adds to a lock the images that are used and not in it. With update it also looks up
// the images that are in it, except entries that were written by hand. Otherwise no registry is
// asked. All failures are returned, each with its image and one use of it; the lock is then
// incomplete and must not be written.
func Resolve(ctx context.Context, lock *lockfile.Lock, registries Registries, uses []Use, update bool, progress func(done, total int, image string)) ([]Outcome, []error) {
	images := group(uses)
	var asked []string
	for _, i := range images {
		entry, found := lock.Find(i.name())
		if i.name() != "" && (!found || update && entry.Digest != "") {
			asked = append(asked, i.name())
		}
	}
	answers, failures := askAll(ctx, asked, progress, registries.Image)
	var outcomes []Outcome
	var mistakes []error
	for _, i := range images {
		status := Locked
		if answer, ok := answers[i.name()]; ok {
			_, found := lock.Find(i.name())
			changed := lock.Set(answer)
			switch {
			case !found:
				status = Added
			case changed:
				status = Updated
			}
		}
		entry, _ := lock.Find(i.name())
		err := failures[i.name()]
		if err == nil {
			err = i.unusable(entry)
		}
		if err != nil {
			mistakes = append(mistakes, i.mistake(err))
			continue
		}
		outcomes = append(outcomes, Outcome{entry, status})
	}
	return outcomes, mistakes
}

// Check compares a lock with the images that are used and with what the registries have now,
// and changes nothing. An entry that was written by hand is taken for right, and an image that
// is named by digest needs no request.
func Check(ctx context.Context, lock *lockfile.Lock, registries Registries, uses []Use, progress func(done, total int, image string)) ([]Outcome, []error) {
	images := group(uses)
	var asked []string
	for _, i := range images {
		if entry, found := lock.Find(i.name()); found && entry.Digest != "" {
			asked = append(asked, i.name())
		}
	}
	answers, failures := askAll(ctx, asked, progress, registries.Digest)
	var outcomes []Outcome
	var mistakes []error
	for _, i := range images {
		entry, found := lock.Find(i.name())
		err := failures[i.name()]
		now, wasAsked := answers[i.name()]
		switch {
		case err != nil:
		case i.name() != "" && !found:
			err = input(errors.New("is not in the lock file"))
		case wasAsked && now != entry.Digest:
			err = input(fmt.Errorf("has moved since it was locked: it is %s now, not %s", now, entry.Digest))
		default:
			err = i.unusable(entry)
		}
		if err != nil {
			mistakes = append(mistakes, i.mistake(err))
			continue
		}
		outcomes = append(outcomes, Outcome{entry, Locked})
	}
	return outcomes, mistakes
}

// askAll asks for each image, for several at the same time.
func askAll[T any](ctx context.Context, images []string, progress func(done, total int, image string), ask func(context.Context, string) (T, error)) (map[string]T, map[string]error) {
	type answer struct {
		image string
		value T
		err   error
	}
	answers := make(chan answer)
	var workers errgroup.Group
	workers.SetLimit(atOnce)
	go func() {
		for _, image := range images {
			workers.Go(func() error {
				value, err := ask(ctx, image)
				answers <- answer{image, value, err}
				return nil
			})
		}
		_ = workers.Wait() // each answer has its own error
		close(answers)
	}()
	values, failures := map[string]T{}, map[string]error{}
	done := 0
	for a := range answers {
		done++
		progress(done, len(images), a.image)
		if a.err != nil {
			failures[a.image] = a.err
		} else {
			values[a.image] = a.value
		}
	}
	return values, failures
}

// A used is one image with all its uses.
type used []Use

func (u used) name() string { return u[0].Image }

// group puts uses of one image together, in the order of the first of each.
func group(uses []Use) []used {
	var images []used
	at := map[string]int{}
	for _, u := range uses {
		// A container without an image is a separate mistake.
		i, seen := at[u.Image]
		if !seen || u.Image == "" {
			i = len(images)
			at[u.Image] = i
			images = append(images, nil)
		}
		images[i] = append(images[i], u)
	}
	return images
}

// unusable says why a use of the image has nothing to run, and returns nil where every use has
// a command.
func (u used) unusable(entry lockfile.Entry) error {
	if u.name() == "" {
		return fault.New(fault.Usage, errors.New("the container names no image"))
	}
	for _, use := range u {
		if _, err := lockfile.Argv(nil, nil, entry.Command); err != nil && !use.Args {
			return input(err)
		}
	}
	return nil
}

// mistake puts one use of the image in front of the cause.
func (u used) mistake(err error) error {
	where := u[0].String()
	if more := len(u) - 1; more == 1 {
		where += " (and one more container)"
	} else if more > 1 {
		where += fmt.Sprintf(" (and %d more containers)", more)
	}
	return fault.New(fault.Code(err), fmt.Errorf("%s: %w", where, err), fault.Hints(err)...)
}
