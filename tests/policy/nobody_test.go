package policy

import (
	"context"

	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// nobody denies everything: the policies ask no authorizer.
type nobody struct{}

func (nobody) Authorize(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionDeny, "", nil
}
