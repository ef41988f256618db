package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/jobmesh/jobmesh/internal/attest"
	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/publish"
	"github.com/jobmesh/jobmesh/internal/registry"
	"github.com/jobmesh/jobmesh/internal/release"
	"github.com/jobmesh/jobmesh/internal/signature"
	"github.com/jobmesh/jobmesh/internal/verify"
)

type publishOptions struct {
	prefix    string
	from      string
	tags      []string
	dryRun    bool
	plainHTTP bool
	timeouts  map[string]string
	referrers string
	signKey   string
	keyless   bool
}

func newPublish(streams Streams) *cobra.Command {
	var o publishOptions
	cmd := &cobra.Command{
		Use:   "publish REGISTRY/PREFIX",
		Short: "Push the image and the charts, the tags last",
		Long: `Publish pushes what build made: the image to REGISTRY/PREFIX/jobmesh-wrap, the
library chart to REGISTRY/PREFIX/jobmesh and the charts that carry it beside it,
each under its version. The charts that are pushed name the image where it was
pushed to, by the same digest.

Everything is sent and read back before a tag moves. A run that fails leaves the
tags as they were; run it again, and it goes on where it stopped. A published
version of the chart never changes.

Bills of materials and provenance go with the image as OCI referrers, before a tag
moves; the charts get provenance of their own. --sign-key signs index, platforms
and charts, with bundles that cosign 3 verifies offline. Where a registry has no
referrers API their list is kept under a tag, sha256-DIGEST.

Credentials are those of docker and podman. Registries on this machine are spoken
to in plain HTTP, others in HTTPS. The references go to stdout, by digest.`,
		Example: `  jobmesh publish registry.example.com/platform
  jobmesh publish registry.example.com/platform --tag latest
  jobmesh publish registry.example.com/platform --sign-key cosign.key
  jobmesh publish 127.0.0.1:5000/test --dry-run`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fault.New(fault.Usage, fmt.Errorf("publish wants one argument, REGISTRY/PREFIX, and got %d", len(args)),
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
	flags.StringVar(&o.from, "from", "dist", "folder that build wrote")
	flags.StringArrayVar(&o.tags, "tag", nil, "one more tag for the image, such as latest; repeatable")
	flags.BoolVar(&o.dryRun, "dry-run", false, "list what would be sent, and send nothing")
	flags.StringVar(&o.signKey, "sign-key", "", "private key to sign with, in PEM, or of cosign generate-key-pair (passphrase in COSIGN_PASSWORD)")
	flags.BoolVar(&o.keyless, "sign-keyless", false, "sign with the identity that an installed cosign asks for, and its public log")
	flags.StringVar(&o.referrers, "referrers", "auto", "auto; required, to refuse a registry without the referrers API; none, to publish no attestations")
	_ = cmd.RegisterFlagCompletionFunc("referrers", cobra.FixedCompletions(referrerModes, cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that is not there
	flags.BoolVar(&o.plainHTTP, "plain-http", false, "allow plain HTTP to a registry that is not on this machine")
	flags.StringToStringVar(&o.timeouts, "timeout", nil, "limit of one step of a phase, as in tag=10m, repetitions included: check (30s), blob (5m), manifest (1m), attachment (2m), read-back (2m), referrers (2m), sign (5m), tag (2m)")
	return cmd
}

// limits are those of the phases, with the ones that were asked for.
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
	switch {
	case !slices.Contains(referrerModes, o.referrers):
		return fault.New(fault.Usage, fmt.Errorf("--referrers %q is not auto, required or none", o.referrers))
	case o.referrers == "none" && (o.signKey != "" || o.keyless):
		return fault.New(fault.Usage, errors.New("signatures are referrers, and --referrers none publishes none"))
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
	stored, err := release.Folder(o.from).Load()
	if err != nil {
		return err
	}
	// The charts that are pushed are pinned anew; one that names another image is not
	// what the caller takes it for.
	if stored.Chart != nil {
		if err := verify.Pin(stored); err != nil {
			return fault.New(fault.Input, fmt.Errorf("%s: pin %w", filepath.Join(o.from, stored.Result.Chart.Path), err), "jobmesh build packs the chart again")
		}
	}
	artifacts, err := artifactsOf(stored, o, key)
	if err != nil {
		return err
	}
	if o.dryRun {
		return printSteps(streams, publish.Steps(artifacts))
	}
	client := registry.New(o.plainHTTP)
	p := publish.New(client)
	p.Limits = limits
	if o.referrers == "required" {
		client.RequireReferrers()
	}
	if o.keyless {
		if p.Sign, err = keyless(streams, client); err != nil {
			return err
		}
	}
	if streams.Terminal {
		p.Progress = func(done, total int, s publish.Step) {
			_, _ = fmt.Fprintf(streams.Err, "\r\x1b[K%d/%d %s %s", done+1, total, s.Phase, s.Object) // only progress
		}
	}
	changed, err := p.Publish(ctx, artifacts)
	if streams.Terminal {
		_, _ = fmt.Fprint(streams.Err, "\r\x1b[K") // the progress line
	}
	if err != nil {
		return err
	}
	if !changed {
		_, _ = fmt.Fprintln(streams.Err, "already published: nothing to do") // a courtesy
	}
	for _, a := range artifacts {
		if _, err := fmt.Fprintln(streams.Out, a.Reference()); err != nil {
			return err
		}
	}
	return nil
}

// repinned are the charts of a release, with another pin and repository.
func repinned(stored release.Stored, pin chart.Pin, repository string) ([]chart.Archive, error) {
	if stored.Chart == nil {
		return nil, nil
	}
	archive, err := chart.Repack(stored.Chart, pin)
	if err != nil {
		return nil, err
	}
	library := chart.Library{Archive: archive, Repository: repository}
	archives := []chart.Archive{archive}
	for _, a := range stored.Applications {
		packed, err := chart.RepackApplication(a, library)
		if err != nil {
			return nil, err
		}
		archives = append(archives, packed)
	}
	return archives, nil
}

// listTag is what a list of referrers or signatures may stand under, and no image: the
// next one that adds to the list would replace it.
var listTag = regexp.MustCompile(`^sha256-[0-9a-f]{64}`)

// artifactsOf returns the image and the charts as a registry will have them.
func artifactsOf(stored release.Stored, o publishOptions, key *signature.Key) ([]publish.Artifact, error) {
	var named []name.Option
	if o.plainHTTP {
		// Without it the client tries plain HTTP with private addresses only.
		named = append(named, name.Insecure)
	}
	imageRepo, err := repositoryUnder(o.prefix, stored.Result.Image.Name, named...)
	if err != nil {
		return nil, err
	}
	tags := append([]string{publish.Tag(stored.Result.Version)}, o.tags...)
	for _, tag := range tags {
		if _, err := name.NewTag(imageRepo.Name() + ":" + tag); err != nil {
			return nil, fault.New(fault.Usage, fmt.Errorf("tag %q is not a tag: letters, digits, dots, dashes and underscores, 128 at most", tag), "as in --tag latest")
		}
		if listTag.MatchString(tag) {
			return nil, fault.New(fault.Usage, fmt.Errorf("tag %q is one under which registries list what refers to a digest", tag), "as in --tag latest")
		}
	}
	pin := pinTo(imageRepo)
	pin.Digest = stored.Result.Image.Digest
	archives, err := repinned(stored, pin, chartRepository(o.prefix))
	if err != nil {
		return nil, err
	}
	created, err := verify.Created(stored)
	if err != nil {
		return nil, fault.New(fault.Verification, fmt.Errorf("image index: %w", err))
	}
	img := publish.Artifact{Repository: imageRepo, Tags: tags}
	for _, c := range stored.Children {
		img.Blobs = append(img.Blobs, c.Layer, c.Config)
		img.Manifests = append(img.Manifests, c.Manifest)
	}
	img.Manifests = append(img.Manifests, stored.Index)
	img.Attachments = stored.Attachments
	artifacts := []publish.Artifact{img}
	sources, builder := attest.Sources(stored.Attachments)
	for _, a := range archives {
		repo, err := repositoryUnder(o.prefix, a.Metadata.Name, named...)
		if err != nil {
			return nil, err
		}
		packed, err := publish.Chart(repo, a.Metadata, a.Bytes, created)
		if err != nil {
			return nil, err
		}
		made, err := attest.Chart{
			Name: a.Metadata.Name, Version: a.Metadata.Version,
			Manifest: packed.Top().Descriptor, Archive: image.NewBlob("", a.Bytes).Descriptor.Digest,
			Image: pin.Registry + "/" + pin.Repository, Digest: pin.Digest,
			Created: created, Sources: sources, Builder: builder,
		}.Provenance()
		if err != nil {
			return nil, err
		}
		packed.Attachments = []image.Attachment{made}
		artifacts = append(artifacts, packed)
	}
	if o.referrers == "none" {
		for i := range artifacts {
			artifacts[i].Attachments = nil
		}
	}
	return artifacts, sign(artifacts, key)
}

// sign adds the signatures that the artifacts do not have yet.
func sign(artifacts []publish.Artifact, key *signature.Key) error {
	if key == nil {
		return nil
	}
	for i, a := range artifacts {
		var subjects []v1.Descriptor
		for _, m := range a.Manifests {
			subjects = append(subjects, m.Descriptor)
		}
		signed, err := attest.Sign(key, subjects, a.Attachments)
		if err != nil {
			return err
		}
		artifacts[i].Attachments = slices.Concat(a.Attachments, attest.Missing(signed, a.Attachments))
	}
	return nil
}

// keyless returns what signs an artifact, all of its manifests, with cosign. What
// has a signature already gets no second one.
func keyless(streams Streams, client *registry.Client) (func(context.Context, publish.Artifact) (bool, error), error) {
	program, err := cosignProgram()
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, a publish.Artifact) (bool, error) {
		added := false
		for _, m := range a.Manifests {
			there, err := client.Referrers(ctx, a.Repository, m.Descriptor.Digest)
			if err != nil {
				return added, err
			}
			if slices.ContainsFunc(there, func(d v1.Descriptor) bool { return d.ArtifactType == signature.MediaType }) {
				continue
			}
			arguments := []string{"sign", "--yes"}
			if client.PlainHTTP {
				arguments = append(arguments, "--allow-http-registry")
			}
			reference := a.Repository.Digest(m.Descriptor.Digest.String()).Name()
			cmd := exec.CommandContext(ctx, program, append(arguments, reference)...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, streams.Err, streams.Err
			if err := cmd.Run(); err != nil {
				return added, fault.New(fault.Registry, fmt.Errorf("%s was not signed: cosign: %w", reference, err),
					"the tags were not moved; run the command again")
			}
			added = true
		}
		return added, nil
	}, nil
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
