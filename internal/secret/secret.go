// Package secret masks the secrets that this process uses in everything that it prints.
package secret

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/jobmesh/jobmesh/internal/printable"
)

// shortest is the least length of a secret that is masked, in bytes. If shorter ones were
// masked, nothing readable would be left.
const shortest = 3

// secrets are the secrets in use, in all forms in which they may be written, the longest first.
var secrets struct {
	sync.RWMutex
	all []string
}

// Hide masks secrets from now on in everything that this process prints: as they are, in
// base64, and as URLs and JSON write them.
func Hide(values ...string) {
	secrets.Lock()
	defer secrets.Unlock()
	for _, v := range values {
		if len(v) < shortest {
			continue
		}
		text, _ := json.Marshal(v) // a string can always be encoded
		for _, form := range []string{
			v, url.QueryEscape(v), url.PathEscape(v), strings.Trim(string(text), `"`), printable.Text(v),
			base64.StdEncoding.EncodeToString([]byte(v)), base64.URLEncoding.EncodeToString([]byte(v)),
			base64.RawStdEncoding.EncodeToString([]byte(v)), base64.RawURLEncoding.EncodeToString([]byte(v)),
		} {
			if !slices.Contains(secrets.all, form) {
				secrets.all = append(secrets.all, form)
			}
		}
	}
	slices.SortFunc(secrets.all, func(a, b string) int { return len(b) - len(a) })
}

// HideLogin masks a user and a password in the forms in which they are sent.
func HideLogin(user, password string) {
	if password != "" {
		Hide(password, user+":"+password)
	}
}

// HideHeader masks the value of an Authorization header.
func HideHeader(value string) {
	kind, text, ok := strings.Cut(value, " ")
	if !ok {
		return
	}
	Hide(text)
	if decoded, err := base64.StdEncoding.DecodeString(text); err == nil && strings.EqualFold(kind, "Basic") {
		user, password, _ := strings.Cut(string(decoded), ":")
		HideLogin(user, password)
	}
}

// HideUserInfo masks the password in front of the @ of a reference or URL that the user has
// typed.
func HideUserInfo(typed string) {
	if _, rest, ok := strings.Cut(typed, "://"); ok {
		typed = rest
	}
	at := strings.LastIndexByte(typed, '@')
	if at < 0 || isDigest(typed[at+1:]) {
		return
	}
	if user, password, ok := strings.Cut(typed[:at], ":"); ok {
		HideLogin(user, password)
	}
}

func isDigest(s string) bool {
	return strings.HasPrefix(s, "sha256:") || strings.HasPrefix(s, "sha512:")
}

// Mask replaces secrets by ***, and also passwords in URLs, which were not given to Hide.
func Mask(s string) string {
	secrets.RLock()
	defer secrets.RUnlock()
	for _, secret := range secrets.all {
		s = strings.ReplaceAll(s, secret, "***")
	}
	return printable.WithoutPasswords(s)
}

// Text returns a text of unknown origin on one line, safe to print, without secrets.
func Text(s string) string { return printable.Text(Mask(s)) }
