// Package attack plays those who want jobmesh verify to say ok of something else than
// what was released. The attacks are data: what is changed, by whom, and what verify has
// to say, of a folder, a layout, an archive and a registry, with and without a key.
package attack
