package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/plugin"
	"github.com/jobmesh/jobmesh/internal/publish"
	"github.com/jobmesh/jobmesh/internal/registry"
	"github.com/jobmesh/jobmesh/internal/release"
)

type publishOptions struct {
	prefix    string
	from      []string
	tags      []string
	dryRun    bool
	plainHTTP bool
	timeouts  map[string]string
	referrers string
	signKey   string
	keyless   bool
	output    output
}

func newPublish(streams Streams) *cobra.Command {
	var o publishOptions
	cmd := &cobra.Command{
		Use:   "publish REGISTRY[/PREFIX]",
		Short: "Push images, charts and plugin, tags last",
		Long: `Publish pushes what build made: the image to REGISTRY/PREFIX/jobmesh-wrap, the
library chart to REGISTRY/PREFIX/jobmesh, and the charts that carry it beside
it, each under its version. The pushed charts name the image at the place to
which it was pushed, by the same digest.

Everything is sent and read back before a tag moves. A failed run leaves the
tags as they were; run it again, and it continues where it stopped. A published
version of the chart never changes.

Bills of materials and provenance are pushed with the image as OCI referrers,
before a tag moves; the charts have provenance of their own. --sign-key signs
index, platforms and charts, with bundles that cosign 3 verifies offline. Where
a registry has no referrers API, the list of referrers is kept under a tag,
sha256-DIGEST.

Credentials are those of docker and podman. A registry on this machine is asked
over plain HTTP, any other one over HTTPS. The references, by digest, go to
stdout; with -o json or yaml, each with its tags.`,
		Example: `  jobmesh publish registry.example.com/platform
  jobmesh publish registry.example.com/platform --tag latest
  jobmesh publish registry.example.com/platform --sign-key cosign.key
  jobmesh publish registry.example.com/platform --from dist --from release
  jobmesh publish 127.0.0.1:5000/test --dry-run`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fault.New(fault.Usage, fmt.Errorf("publish needs one argument, REGISTRY[/PREFIX], and got %d", len(args)),
					"as in jobmesh publish registry.example.com/platform")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.prefix = strings.TrimSuffix(args[0], "/")
			return runPublish(cmd.Context(), streams, o)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.from, "from", []string{"dist"}, "folder that jobmesh build or make release wrote; repeatable")
	flags.StringArrayVar(&o.tags, "tag", nil, "additional tag for the image, such as latest; repeatable")
	_ = cmd.MarkFlagDirname("from") // fails only for a flag that does not exist
	flags.BoolVar(&o.dryRun, "dry-run", false, "list what would be sent, and send nothing")
	flags.StringVar(&o.signKey, "sign-key", "", "private key to sign with, in PEM, or of cosign generate-key-pair (passphrase in COSIGN_PASSWORD)")
	flags.BoolVar(&o.keyless, "sign-keyless", false, "sign with an installed cosign: it asks for an identity, and uses the public log")
	flags.StringVar(&o.referrers, "referrers", "auto", "auto; required, to refuse a registry without the referrers API; none, to publish no attestations")
	_ = cmd.RegisterFlagCompletionFunc("referrers", cobra.FixedCompletions(referrerModes, cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that does not exist
	flags.BoolVar(&o.plainHTTP, "plain-http", false, "allow plain HTTP to a registry that is not on this machine")
	o.output.register(cmd, resultFormats)
	flags.StringToStringVar(&o.timeouts, "timeout", nil, "time limit of one step of a phase, as in tag=10m; it includes retries: check (30s), blob (5m), manifest (1m), attachment (2m), read-back (2m), referrers (2m), sign (5m), tag (2m)")
	return cmd
}

// limits returns the time limits of the phases, with those that the user has set.
func (o publishOptions) limits() (map[string]time.Duration, error) {
	limits := publish.DefaultLimits()
	for key, value := range o.timeouts {
		phase := strings.ReplaceAll(key, "-", " ")
		limit, err := time.ParseDuration(value)
		if _, known := limits[phase]; !known || err != nil || limit <= 0 {
			return nil, fault.New(fault.Usage, fmt.Errorf("timeout %s=%s is not a phase and a duration", key, value), "as in --timeout tag=10m; jobmesh publish --help lists the phases")
		}
		limits[phase] = limit
	}
	return limits, nil
}

// referrerModes are the values of --referrers.
var referrerModes = []string{"auto", "required", "none"}

func (o publishOptions) check() error {
	if err := o.output.check(); err != nil {
		return err
	}
	switch {
	case !slices.Contains(referrerModes, o.referrers):
		return fault.New(fault.Usage, fmt.Errorf("--referrers %q is not auto, required or none", o.referrers))
	case o.referrers == "none" && (o.signKey != "" || o.keyless):
		return fault.New(fault.Usage, errors.New("signatures are referrers, and --referrers none publishes no referrers"))
	case o.signKey != "" && o.keyless:
		return fault.New(fault.Usage, errors.New("--sign-key and --sign-keyless exclude each other"))
	}
	return nil
}

func runPublish(ctx context.Context, streams Streams, o publishOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	limits, err := o.limits()
	if err != nil {
		return err
	}
	key, err := signingKey(streams, o.signKey)
	if err != nil {
		return err
	}
	plan := publish.Plan{Prefix: o.prefix, Tags: o.tags, PlainHTTP: o.plainHTTP, Bare: o.referrers == "none", Key: key}
	artifacts, version, err := o.artifacts(plan)
	if err != nil {
		return err
	}
	if o.dryRun {
		return o.planned(streams, artifacts)
	}
	client := registry.New(o.plainHTTP)
	p := publish.New(client)
	p.Limits = limits
	if o.referrers == "required" {
		client.RequireReferrers()
	}
	if o.keyless {
		if err := p.SignKeyless(streams.Err); err != nil {
			return err
		}
	}
	p.Progress = func(done, total int, s publish.Step) {
		progress(streams, "%d/%d %s %s", done+1, total, s.Phase, s.Object)
	}
	changed, err := p.Publish(ctx, artifacts)
	progress(streams, "")
	if err != nil {
		return err
	}
	if !changed {
		_, _ = fmt.Fprintln(streams.Err, "already published: nothing to do") // a failed message does not fail the verb
	}
	if err := o.published(streams, artifacts, changed); err != nil || !o.output.isText() {
		return err
	}
	for _, line := range toPaste(artifacts, o.prefix, version, key != nil) {
		_, _ = fmt.Fprintln(streams.Err, line) // a failed message does not fail the verb
	}
	return nil
}

// artifacts reads all folders, and returns what is to be pushed, with its version.
func (o publishOptions) artifacts(plan publish.Plan) ([]publish.Artifact, string, error) {
	var all []publish.Artifact
	version := ""
	for _, from := range o.from {
		artifacts, its, err := artifactsIn(from, plan)
		if err != nil {
			return nil, "", err
		}
		if version != "" && its != version {
			return nil, "", fault.New(fault.Input, fmt.Errorf("%s has version %s, and %s has version %s", o.from[0], version, from, its),
				"make release makes everything with one version")
		}
		all, version = append(all, artifacts...), its
	}
	return all, version, nil
}

// artifactsIn reads one folder: one with a result.json was written by jobmesh build, and one
// with checksums.txt by make release.
func artifactsIn(from string, plan publish.Plan) ([]publish.Artifact, string, error) {
	if isFile(filepath.Join(from, plugin.ChecksumsFile)) && !isFile(filepath.Join(from, release.ResultFile)) {
		archives, err := plugin.Read(from)
		if err != nil {
			return nil, "", err
		}
		artifacts, err := plan.Plugin(archives)
		return artifacts, archives[0].Version, err
	}
	stored, err := release.Folder(from).Load()
	if err != nil {
		return nil, "", err
	}
	artifacts, err := plan.Artifacts(stored, from)
	return artifacts, stored.Result.Version, err
}

func isFile(path string) bool {
	stat, err := os.Stat(path)
	return err == nil && stat.Mode().IsRegular()
}

// publishResult is what publish prints as data; docs/publish.schema.json describes it.
type publishResult struct {
	DryRun    bool                `json:"dryRun"`
	Changed   bool                `json:"changed"`
	Artifacts []publishedArtifact `json:"artifacts"`
	// Steps are the steps that a dry run would do.
	Steps []publishStep `json:"steps,omitempty"`
}

type publishedArtifact struct {
	Kind       publish.Kind `json:"kind"`
	Name       string       `json:"name"`
	Repository string       `json:"repository"`
	Digest     string       `json:"digest"`
	Tags       []string     `json:"tags"`
	Reference  string       `json:"reference"`
}

type publishStep struct {
	Phase  string `json:"phase"`
	Object string `json:"object"`
	Size   int64  `json:"size"`
}

func artifactsOf(artifacts []publish.Artifact) []publishedArtifact {
	var all []publishedArtifact
	for _, a := range artifacts {
		all = append(all, publishedArtifact{
			Kind: a.Kind, Name: path.Base(a.Repository.RepositoryStr()), Repository: a.Repository.Name(),
			Digest: a.Top().Descriptor.Digest.String(), Tags: a.Tags, Reference: a.Reference(),
		})
	}
	return all
}

// published prints what is now in the registry.
func (o publishOptions) published(streams Streams, artifacts []publish.Artifact, changed bool) error {
	if !o.output.isText() {
		return o.output.print(streams.Out, publishResult{Changed: changed, Artifacts: artifactsOf(artifacts)})
	}
	for _, a := range artifacts {
		if _, err := fmt.Fprintln(streams.Out, a.Reference()); err != nil {
			return err
		}
	}
	return nil
}

// planned prints what would be sent.
func (o publishOptions) planned(streams Streams, artifacts []publish.Artifact) error {
	steps := publish.Steps(artifacts)
	if o.output.isText() {
		return printSteps(streams, steps)
	}
	result := publishResult{DryRun: true, Artifacts: artifactsOf(artifacts)}
	for _, s := range steps {
		result.Steps = append(result.Steps, publishStep(s))
	}
	return o.output.print(streams.Out, result)
}

func printSteps(streams Streams, steps []publish.Step) error {
	w := tabwriter.NewWriter(streams.Out, 0, 0, 2, ' ', 0)
	for _, s := range steps {
		size := ""
		if s.Size > 0 {
			size = fmt.Sprint(s.Size)
		}
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\n", s.Phase, s.Object, size); err != nil {
			return err
		}
	}
	return w.Flush()
}
