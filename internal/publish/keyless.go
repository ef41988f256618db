package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/jobmesh/jobmesh/internal/fault"
)

// SignKeyless has everything signed by an installed cosign, with the identity that it
// asks for and its public log, each time that it is called: whose the signatures are that
// stand beside an image already, nobody can tell who does not know that identity, and
// anybody may have put them there. All that cosign prints goes to said.
func (p *Publisher) SignKeyless(said io.Writer) error {
	program, err := exec.LookPath("cosign")
	if err != nil {
		return fault.New(fault.Usage, errors.New("cosign is not in PATH, and keyless signatures are made with it"),
			"install cosign 3 from https://github.com/sigstore/cosign/releases",
			"or sign with a key: --sign-key cosign.key")
	}
	p.Sign = func(ctx context.Context, a Artifact) (bool, error) { return p.signWith(ctx, program, a, said) }
	return nil
}

// signWith signs every manifest of an artifact.
func (p *Publisher) signWith(ctx context.Context, cosign string, a Artifact, said io.Writer) (added bool, err error) {
	for _, m := range a.Manifests {
		arguments := []string{"sign", "--yes"}
		if p.client.PlainHTTP {
			arguments = append(arguments, "--allow-http-registry")
		}
		reference := a.Repository.Digest(m.Descriptor.Digest.String()).Name()
		cmd := exec.CommandContext(ctx, cosign, append(arguments, reference)...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, said, said
		if err := cmd.Run(); err != nil {
			return added, fault.New(fault.Registry, fmt.Errorf("%s was not signed: cosign: %w", reference, err),
				"the tags were not moved; run the command again")
		}
		added = true
	}
	return added, nil
}
