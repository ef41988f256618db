package registry

import (
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// A pageError is a web page in place of a registry's answer: that of a proxy, or one at which
// the user has to sign in.
type pageError struct{ mediaType string }

func (e *pageError) Error() string {
	return fmt.Sprintf("the answer is a web page (%s), not that of a registry", e.mediaType)
}

func (e *pageError) hint(repo name.Repository) string {
	return "a proxy, or a page at which one has to sign in, may stand between this machine and " + repo.RegistryStr() + ": open " + repo.Scheme() + "://" + repo.RegistryStr() + "/v2/ in a browser"
}

var manifestPath = regexp.MustCompile(`^/v2/.+/manifests/[^/]+$`)

// pageAs returns the web page that was sent as a successful answer to a request for a manifest,
// and nil for any other answer.
func pageAs(r *http.Request, answer *http.Response) *pageError {
	mediaType, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")) // "" means no type
	if answer.StatusCode == http.StatusOK && manifestPath.MatchString(r.URL.Path) && mediaType == "text/html" {
		return &pageError{mediaType}
	}
	return nil
}

// pageIn returns the web page in a refusal, and nil where a registry has sent it.
func pageIn(answer *transport.Error) *pageError {
	text := strings.ToLower(answer.Error())
	if len(answer.Errors) == 0 && (strings.Contains(text, "<html") || strings.Contains(text, "<!doctype html")) {
		return &pageError{"text/html"}
	}
	return nil
}
