package programs

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// debianPackages are the packages that the run takes from the distribution. Each has a file that shows whether it is
// installed: a full path, or the name of a program in PATH.
var debianPackages = []debianPackage{
	{"gcc", "/usr/bin/gcc"},                                 // to build runc
	{"libc6-dev", "/usr/include/stdlib.h"},                  //
	{"libseccomp-dev", "/usr/include/seccomp.h"},            //
	{"pkg-config", "/usr/bin/pkg-config"},                   //
	{"containernetworking-plugins", CNIPlugins + "/bridge"}, // to run pods
	{"nftables", "nft"},                                     // to run kube-proxy
	{"iptables", IPTables},                                  // for Istio's init container
	{"pgbouncer", PgBouncer},                                // to run beside a Job
	{"busybox-static", Busybox},                             // to put a shell into images
	{"python3-pip", "pip3"},                                 // to fetch Envoy
}

type debianPackage struct{ name, file string }

func (p debianPackage) installed() bool {
	if !filepath.IsAbs(p.file) {
		_, err := exec.LookPath(p.file)
		return err == nil
	}
	_, err := os.Stat(p.file)
	return err == nil
}

// The cluster needs these files of the Debian packages.
const (
	CNIPlugins = "/usr/lib/cni"
	Busybox    = "/bin/busybox"
	PgBouncer  = "/usr/sbin/pgbouncer"
	// IPTables is the program behind iptables, ip6tables, and their save and restore commands. It loads the modules.
	IPTables        = "/usr/sbin/xtables-nft-multi"
	IPTablesModules = "/usr/lib/*/xtables/lib*.so"
)

// InstallPackages installs the Debian packages that are missing. It needs root.
func InstallPackages(ctx context.Context, progress io.Writer) error {
	var missing []string
	for _, p := range debianPackages {
		if !p.installed() {
			missing = append(missing, p.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	names := strings.Join(missing, " ")
	fmt.Fprintf(progress, "e2e: installing Debian packages: %s\n", names)
	for _, arguments := range [][]string{
		{"update", "-q"},
		append([]string{"install", "-q", "-y", "--no-install-recommends"}, missing...),
	} {
		apt := exec.CommandContext(ctx, "apt-get", arguments...)
		// systemctl then behaves as in a chroot, so that no service of a package is started.
		apt.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "SYSTEMD_OFFLINE=1")
		if output, err := apt.CombinedOutput(); err != nil {
			return fmt.Errorf("debian packages %s: apt-get %s: %w%s", names, arguments[0], err, lastLine(output))
		}
	}
	return nil
}

func lastLine(output []byte) string {
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return ": " + last
	}
	return ""
}
