package script

import (
	"maps"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// maxWorlds is the number of worlds in which a script is walked. Each unknown test doubles
// them; worlds in which the fewest tests fail come first.
const maxWorlds = 48

// A world is one run of a script in which everything unknown has been decided.
type world struct {
	// fails is the one command that fails; nil means that none does.
	fails *syntax.CallExpr
	// truth has the results of unknown tests, by their text. A test that is not in it succeeds.
	truth map[string]bool
	// withoutStops leaves out the calls that stop a proxy: the exit code is then the one that
	// the script would have without them.
	withoutStops bool
	// anyWork treats commands that otherwise only prepare, such as cp, as work. It is for
	// scripts that do nothing more.
	anyWork bool
}

// A run is what one walk through a script has found.
type run struct {
	code code
	// stopped says that a proxy was stopped. tooSoon says that all work came after that.
	stopped, tooSoon bool
	// ahead says that a proxy was stopped before any work.
	ahead bool
	// work are the commands that do the script's work, as far as the run got.
	work []*syntax.CallExpr
	// checks are those of them that decided what was run next.
	checks []*syntax.CallExpr
	// asked are the tests whose result was not known.
	asked []string
	// exit is the exit command that ended the run; nil means none.
	exit *syntax.CallExpr
	// endless is the command that never ended.
	endless endlessness
}

// guarded tells whether the run was ended by an exit before all work, or by one that itself
// says that the run has failed.
func (r run) guarded() bool {
	worked := slices.ContainsFunc(r.work, func(c *syntax.CallExpr) bool { return !slices.Contains(r.checks, c) })
	return !r.stopped && r.exit != nil && (!worked || r.code == other)
}

// A verdict is the result of one world.
type verdict struct {
	run
	outcome Outcome
	loses   bool
}

// read walks the script once without a failure, then once for each command that may fail. It
// does so for each combination of results of the unknown tests.
func (r *reader) read(text string, params []string, flags shellFlags) Reading {
	result := Reading{Shell: true}
	file := r.parse(text)
	if file == nil {
		if strings.TrimSpace(text) != "" {
			result.Opaque = firstLine(text)
		}
		result.Stops = textStops(text)
		if len(result.Stops) > 0 {
			result.Outcome = CannotTell
		}
		return result
	}
	walk := func(w world) run {
		var found run
		s := &shell{reader: r, world: w, vars: map[string]string{}, params: params, funcs: map[string]*syntax.Stmt{},
			errexit: flags.errexit, found: &found, jobs: &[]ended{}}
		found.code = s.run(file)
		found.endless = s.hung
		return found
	}
	worlds, all := r.explore(walk, false)
	if !slices.ContainsFunc(worlds, func(v verdict) bool { return len(v.work) > 0 }) {
		worlds, all = r.explore(walk, true)
	}
	early := result.conclude(worlds)
	if early != nil {
		result.Early = firstLine(r.text(early))
	}
	if (!all || r.unsure) && result.Outcome != Never || r.steps > maxSteps && len(r.stops) > 0 {
		result.Outcome, result.Early = CannotTell, ""
	}
	if r.steps > maxSteps { // the last walks were not finished
		result.LosesCode = false
	}
	r.report(&result)
	return result
}

// report adds what all walks have found together.
func (r *reader) report(result *Reading) {
	result.Opaque, result.Swallowed = r.unread, r.swallowed
	result.NoCode, result.Network = r.noCode, r.network
	result.WaitsFor = slices.Compact(r.waits)
	result.Refusals = r.refusals
	for s := range r.stops {
		result.Stops = append(result.Stops, s)
	}
	slices.SortFunc(result.Stops, func(a, b Stop) int { return strings.Compare(a.Tool+a.Mesh, b.Tool+b.Mesh) })
	for name := range r.names {
		result.Programs = append(result.Programs, name)
	}
	for _, s := range result.Stops {
		result.Programs = append(result.Programs, s.Tool)
	}
	slices.Sort(result.Programs)
}

// explore judges the worlds of a script: each unknown test succeeds in one world and fails in
// another. The result all is false where there are more worlds than were judged.
func (r *reader) explore(walk func(world) run, anyWork bool) (found []verdict, all bool) {
	queue := []map[string]bool{{}}
	for len(queue) > 0 {
		if len(found) >= maxWorlds || len(found) >= 2 && r.steps > maxSteps/2 {
			return found, false
		}
		truth := queue[0]
		queue = queue[1:]
		v := judge(walk, world{truth: truth, anyWork: anyWork})
		found = append(found, v)
		holds := maps.Clone(truth)
		for _, test := range v.asked {
			if _, decided := holds[test]; decided {
				continue
			}
			otherwise := maps.Clone(holds)
			otherwise[test] = false
			queue = append(queue, otherwise)
			holds[test] = true
		}
	}
	return found, true
}

// judge walks a script in one world, and again for each command that may fail there.
func judge(walk func(world) run, w world) verdict {
	v := verdict{run: walk(w)}
	if !v.stopped {
		return v
	}
	v.outcome = Always
	for _, c := range v.work[:min(len(v.work), maxWork)] {
		w.fails, w.withoutStops = c, false
		with := walk(w)
		if !with.stopped {
			v.outcome = OnSuccess
		}
		if v.loses || with.code != success && with.code != other {
			continue
		}
		w.withoutStops = true
		v.loses = walk(w).code == failure
	}
	return v
}

// conclude says what the worlds have in common. A problem of one world counts: the exit code
// that it loses, or the proxy that it leaves running. Where a test decides whether the proxy is
// stopped at all, it may be a test for the proxy, and no finding is reported. The result early
// is an exit that leaves the proxy running.
func (r *Reading) conclude(worlds []verdict) (early *syntax.CallExpr) {
	depends, stops := false, false
	behind := map[*syntax.CallExpr]bool{} // exits that a stop may precede
	for _, v := range worlds {
		if v.stopped {
			behind[v.exit] = true
		}
	}
	for _, v := range worlds {
		r.LosesCode = r.LosesCode || v.loses
		r.TooSoon = r.TooSoon || v.tooSoon
		switch {
		case v.outcome == OnSuccess:
			r.Outcome, stops = OnSuccess, true
		case v.outcome == Always:
			stops = true
		case v.guarded() && !behind[v.exit]:
			if early == nil {
				early = v.exit
			}
		default:
			depends = true
		}
	}
	switch {
	case !stops:
		r.Outcome, early = Never, nil
	case r.Outcome == OnSuccess:
	case early != nil:
		r.Outcome = OnSuccess
	case depends:
		r.Outcome = CannotTell
	default:
		r.Outcome = Always
	}
	on := endlessIn(worlds)
	r.Endless, r.Helper = on.source, on.helper
	return early
}

// endlessIn returns the command that never ends in any world, apart from worlds that an exit
// ends earlier. It returns nothing where some world ends.
func endlessIn(worlds []verdict) endlessness {
	var found endlessness
	for _, v := range worlds {
		switch {
		case v.endless.source != "":
			found = v.endless
		case v.exit == nil || len(v.work) > 0:
			return endlessness{}
		}
	}
	return found
}
