package jobmesh

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
	orasremote "oras.land/oras-go/v2/registry/remote"
)

// keypair NAME [PASSPHRASE] writes NAME.key and NAME.pub: in PKCS #8, or encrypted as cosign
// generate-key-pair does it.
func keyPair(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: keypair NAME [PASSPHRASE]")
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	ts.Check(err)
	block := &pem.Block{Type: "PRIVATE KEY", Bytes: der}
	if len(args) == 2 {
		sealed, err := encrypted.Encrypt(der, []byte(args[1]))
		ts.Check(err)
		block = &pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: sealed}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".key"), pem.EncodeToMemory(block), 0o600))
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600))
}

// layoutcopy oras|crane LAYOUT TAG REFERENCE copies an image with all its referrers from a
// layout to a registry, as oras cp --recursive or crane push --index with crane tag does it.
func layoutCopy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: layoutcopy oras|crane LAYOUT TAG REFERENCE")
	}
	by := map[string]func(context.Context, string, string, string) error{"oras": byOras, "crane": byCrane}[args[0]]
	ts.Check(by(context.Background(), ts.MkAbs(args[1]), args[2], args[3]))
}

// resolves RESULT REPOSITORY requests everything from a registry that result.json lists for the
// image.
func resolves(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: resolves RESULT REPOSITORY")
	}
	type content struct{ Digest string }
	var result struct {
		Image struct {
			content
			Platforms []struct {
				content
				Config, Layer content
			}
			Referrers []struct {
				content
				Document content
			}
		}
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &result))
	repo, err := name.NewRepository(args[1])
	ts.Check(err)
	manifests, blobs := []string{result.Image.Digest}, []string{}
	for _, p := range result.Image.Platforms {
		manifests, blobs = append(manifests, p.Digest), append(blobs, p.Config.Digest, p.Layer.Digest)
	}
	for _, r := range result.Image.Referrers {
		manifests, blobs = append(manifests, r.Digest), append(blobs, r.Document.Digest)
	}
	for _, digest := range manifests {
		_, err := remote.Head(repo.Digest(digest))
		ts.Check(err)
	}
	for _, digest := range blobs {
		layer, err := remote.Layer(repo.Digest(digest))
		ts.Check(err)
		_, err = layer.Size()
		ts.Check(err)
	}
}

func byOras(ctx context.Context, dir, tag, reference string) error {
	from, err := oci.New(dir)
	if err != nil {
		return err
	}
	to, err := orasremote.NewRepository(reference)
	if err != nil {
		return err
	}
	to.PlainHTTP = true
	index, err := oras.ExtendedCopy(ctx, from, tag, to, to.Reference.Reference, oras.DefaultExtendedCopyOptions)
	if err != nil {
		return err
	}
	children, err := content.Successors(ctx, from, index)
	if err != nil {
		return err
	}
	for _, child := range children {
		if err := oras.ExtendedCopyGraph(ctx, from, to, child, oras.DefaultExtendedCopyGraphOptions); err != nil {
			return err
		}
	}
	return nil
}

func byCrane(_ context.Context, dir, tag, reference string) error {
	all, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return err
	}
	target, err := name.NewTag(reference)
	if err != nil {
		return err
	}
	if err := remote.WriteIndex(target.Context().Tag("everything"), all); err != nil {
		return err
	}
	manifest, err := all.IndexManifest()
	if err != nil {
		return err
	}
	for _, d := range manifest.Manifests {
		if d.Annotations["org.opencontainers.image.ref.name"] != tag {
			continue
		}
		image, err := remote.Get(target.Context().Digest(d.Digest.String()))
		if err != nil {
			return err
		}
		if err := remote.Tag(target, image); err != nil {
			return err
		}
	}
	return nil
}
