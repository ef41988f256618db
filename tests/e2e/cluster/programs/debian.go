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

// debianPackages are what the run takes from the distribution, each with a file that tells that it is there: by its full
// name, or as a program that may be anywhere in PATH.
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

// Where Debian's packages put what the cluster needs.
const (
	CNIPlugins = "/usr/lib/cni"
	Busybox    = "/bin/busybox"
	PgBouncer  = "/usr/sbin/pgbouncer"
	// IPTables is the program behind iptables, ip6tables and those that save and restore; it loads the modules.
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
		// A service that comes with a package is not started: systemctl then does what it does in a chroot.
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
