package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/build"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/registry"
	"github.com/jobmesh/jobmesh/internal/secret"
	"github.com/jobmesh/jobmesh/internal/verify"
)

type verifyOptions struct {
	rebuild   bool
	key       string
	name      string
	plainHTTP bool
	quiet     bool
	output    output
}

func newVerify(streams Streams) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify [DIST|ARCHIVE|REFERENCE]",
		Short: "Check that a release is what it says it is",
		Long: `Verify checks a folder that build wrote, or its result.json, the .oci.tar
archive alone, an OCI layout, or an image or a chart in a registry. It checks
every digest, the platforms, and for each platform the configuration, the files
and the program; the bills of materials and the provenance; that the charts of
the release are there, and that they are pinned to the image. In a folder, the
archive has to have the same content as the layout. Anything that does not
belong to the release is an error, except documents that others have attached to
an image as referrers: they are left out, with a note. Inside the sources it
compares a third-party binary with images/NAME/image.lock.

With --key it checks the signatures too. The signature of the index is checked
before anything is read to which the index leads. Only that key is needed: no
log, and no network besides the registry. A reference has to have the name and
the version that were signed: the last part of the repository is the name, or
--name in a mirror that renames it, and a tag such as 1.2.3 is the version. With
any other tag, such as latest, the first line says which version it is.

With --rebuild it compiles the sources again and says what differs: the program,
the layer around it, or only the compression of the layer. The charts of a
folder are packed again too.

The first line has the name, the version, the digest and the signer. One line
for each check follows. Exit code 8 means that a check has failed, or that
content which cannot be trusted yet is larger than the limit.`,
		Example: `  jobmesh verify
  jobmesh verify dist --rebuild
  jobmesh verify jobmesh-wrap-` + jobmesh.Version + `.oci.tar --key cosign.pub
  jobmesh verify registry.example.com/platform/jobmesh-wrap:` + jobmesh.Version + ` --key cosign.pub`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return noArguments(cmd, args[1:])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runVerify(cmd.Context(), streams, append(args, "dist")[0], o)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.rebuild, "rebuild", false, "compile the sources again and compare")
	flags.StringVar(&o.key, "key", "", "public key in PEM, such as cosign.pub; everything has to be signed with its private key")
	flags.StringVar(&o.name, "name", "", "name of the image or chart, where the reference has another one, as in a mirror")
	flags.BoolVar(&o.plainHTTP, "plain-http", false, "allow plain HTTP to a registry that is not on this machine")
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "print only what is wrong")
	o.output.register(cmd, resultFormats)
	return cmd
}

func runVerify(ctx context.Context, streams Streams, what string, o verifyOptions) error {
	if err := o.output.check(); err != nil {
		return err
	}
	key, err := publicKey(o.key)
	if err != nil {
		return err
	}
	sources, noSources := build.FindSources()
	wanted := verify.Wanted{Key: key, Name: o.name, Sources: jobmesh.Sources}
	if noSources == nil {
		wanted.Sources = os.DirFS(string(sources))
	}
	if verify.KindOf(what) == verify.Reference && !strings.ContainsAny(path.Base(what), ":@") {
		note(streams)(what + " has neither a tag nor a digest: latest is checked")
	}
	look, err := verify.At(ctx, what, wanted, registry.New(o.plainHTTP))
	if err != nil {
		return err
	}
	if o.rebuild && look.IsChart() {
		return fault.New(fault.Usage, fmt.Errorf("%s is a chart, and only images can be rebuilt", what), "jobmesh verify --rebuild with the reference of the image")
	}
	if look.IsImage() && noSources == nil {
		look.Findings = append(look.Findings, verify.Pinned(look.Stored, string(sources))...)
	}
	if o.rebuild && look.IsImage() {
		if noSources != nil {
			return noSources
		}
		index, err := sources.Rebuild(ctx, look.Stored, watch(streams))
		if err != nil {
			return err
		}
		charts, err := sources.Repack(look.Stored)
		if err != nil {
			return err
		}
		look.Findings = slices.Concat(look.Findings, verify.Rebuilt(look.Stored, index), verify.Repacked(look.Stored, charts))
	}
	return o.print(streams, look)
}

// print prints what was checked, and returns an error where something is wrong.
func (o verifyOptions) print(streams Streams, look verify.Look) error {
	result := o.resultOf(look)
	if !o.output.isText() {
		if err := o.output.print(streams.Out, result); err != nil {
			return err
		}
		return look.Err()
	}
	signer := "the signer is not checked without --key"
	switch {
	case look.Signed:
		signer = "signed with " + o.key
	case o.key != "":
		signer = "not signed with " + o.key
	}
	var lines []string
	if !o.quiet {
		lines = append(lines, fmt.Sprintf("%s %s %s, %s", cmp.Or(secret.Text(look.Name), "without a name"), cmp.Or(secret.Text(look.Version), "without a version"), look.Digest, signer))
	}
	for _, f := range result.Findings {
		if !o.quiet || f.Result == resultFailed {
			lines = append(lines, fmt.Sprintf("%s: %s: %s", f.Object, f.Aspect, cmp.Or(f.Message, "ok")))
		}
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(streams.Out, line); err != nil {
			return err
		}
	}
	if err := look.Err(); err != nil || o.quiet {
		return err
	}
	s := result.Summary
	_, _ = fmt.Fprintf(streams.Err, "jobmesh: %d ok, %s, nothing wrong\n", s.OK, plural(s.Notes, "note")) // a failed message does not fail the verb
	return nil
}

// verifyResult is what verify prints as data; docs/verify.schema.json describes it.
type verifyResult struct {
	Subject  verifySubject   `json:"subject"`
	Findings []verifyFinding `json:"findings"`
	Summary  verifySummary   `json:"summary"`
}

type verifySubject struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest"`
	// Signed says that the private key of --key has signed it.
	Signed bool `json:"signed"`
}

type verifyFinding struct {
	Object  string `json:"object"`
	Aspect  string `json:"aspect"`
	Result  string `json:"result"`
	Message string `json:"message"`
}

type verifySummary struct {
	OK     int `json:"ok"`
	Notes  int `json:"notes"`
	Failed int `json:"failed"`
}

// These are the results of a finding. A note means that all is well, and that there is more to
// say.
const (
	resultOK     = "ok"
	resultNote   = "note"
	resultFailed = "failed"
)

func (o verifyOptions) resultOf(look verify.Look) verifyResult {
	kind := "image"
	if look.IsChart() {
		kind = "chart"
	}
	r := verifyResult{Subject: verifySubject{kind, look.Name, look.Version, look.Digest, look.Signed}, Findings: []verifyFinding{}}
	for _, f := range look.Findings {
		one := verifyFinding{Object: secret.Text(f.Object), Aspect: f.Aspect, Result: resultOK, Message: secret.Text(f.Note)}
		switch {
		case f.Err != nil:
			one.Result, one.Message = resultFailed, secret.Text(f.Err.Error())
			r.Summary.Failed++
		case f.Note != "":
			one.Result = resultNote
			r.Summary.Notes++
		default:
			r.Summary.OK++
		}
		r.Findings = append(r.Findings, one)
	}
	return r
}
