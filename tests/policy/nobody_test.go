package policy

import (
	"context"

	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// nobody may do anything: the policies ask no authorizer.
type nobody struct{}

func (nobody) Authorize(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionDeny, "", nil
}
