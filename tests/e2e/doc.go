// Package e2e holds the end-to-end tests: Jobs of the real charts, wrapped by the real image, on a real Kubernetes.
// README.md says what is started and what is a stand-in.
package e2e
