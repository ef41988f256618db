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

// A pageError is an answer for people in the place of one of a registry: the page of a
// proxy, or one that wants somebody to sign in.
type pageError struct{ mediaType string }

func (e *pageError) Error() string {
	return fmt.Sprintf("the answer is a page (%s), and not a registry's", e.mediaType)
}

func (e *pageError) hint(repo name.Repository) string {
	return "a proxy or a page to sign in at may stand between here and " + repo.RegistryStr() + ": open " + repo.Scheme() + "://" + repo.RegistryStr() + "/v2/ in a browser"
}

var manifestPath = regexp.MustCompile(`^/v2/.+/manifests/[^/]+$`)

// pageAs is the page that a successful answer to the request for a manifest is, nil
// where it is none.
func pageAs(r *http.Request, answer *http.Response) *pageError {
	mediaType, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")) // "" is none
	if answer.StatusCode == http.StatusOK && manifestPath.MatchString(r.URL.Path) && mediaType == "text/html" {
		return &pageError{mediaType}
	}
	return nil
}

// pageIn is the page in a refusal, nil where that is a registry's.
func pageIn(answer *transport.Error) *pageError {
	text := strings.ToLower(answer.Error())
	if len(answer.Errors) == 0 && (strings.Contains(text, "<html") || strings.Contains(text, "<!doctype html")) {
		return &pageError{"text/html"}
	}
	return nil
}
