// Package attack plays attackers who want jobmesh verify to accept something else than what was
// released. The attacks are data: what is changed, by whom, and what verify has to say, for a
// folder, a layout, an archive and a registry, with and without a key.
package attack
