package cluster

import (
	"crypto/rand"
	"embed"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"text/template"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster/dns"
	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
)

//go:embed config
var config embed.FS

// NetworkConfig is the file in the folder of a cluster that configures the network of pods. The container runtime reads
// it again when it changes. NetworkPlugins is the folder for network plugins that Debian does not package.
func NetworkConfig(dir string) string  { return filepath.Join(dir, "cni", "network.conflist") }
func NetworkPlugins(dir string) string { return filepath.Join(dir, "cni-plugins") }

// files are the files that the servers share.
type files struct {
	certificate, key, serviceAccountKey, tokens, kubeconfig string
}

// writeFiles writes all files that the servers read.
func writeFiles(o Options) (files, error) {
	for _, dir := range []string{o.Dir, o.Logs, NetworkPlugins(o.Dir)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return files{}, err
		}
	}
	if err := writeConfigs(o); err != nil {
		return files{}, err
	}
	addresses, err := apiServerAddresses(o)
	if err != nil {
		return files{}, err
	}
	return writeCredentials(o.Dir, addresses)
}

func writeConfigs(o Options) error {
	runc, err := o.Programs.Find("runc")
	if err != nil {
		return err
	}
	values := struct {
		Options
		Runc, CNIPlugins, MorePlugins, Domain string
	}{o, runc, programs.CNIPlugins, NetworkPlugins(o.Dir), dns.Domain}
	templates, err := template.ParseFS(config, "config/*")
	if err != nil {
		return err
	}
	for from, to := range map[string]string{
		"containerd.toml":  "containerd.toml",
		"hosts.toml":       path.Join("certs.d", o.Registry, "hosts.toml"),
		"kubelet.yaml":     "kubelet.yaml",
		"kube-proxy.yaml":  "kube-proxy.yaml",
		"network.conflist": path.Join("cni", "network.conflist"),
	} {
		if err := render(templates.Lookup(from), filepath.Join(o.Dir, to), values); err != nil {
			return err
		}
	}
	return nil
}

func render(t *template.Template, to string, values any) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := t.Execute(file, values); err != nil {
		return err
	}
	return file.Close()
}

// writeCredentials makes a certificate for the API server, a key for service accounts, and a token of an administrator,
// which all clients share. The certificate is for these addresses of the API server.
func writeCredentials(dir string, addresses []net.IP) (files, error) {
	f := files{
		certificate:       filepath.Join(dir, "api-server.crt"),
		key:               filepath.Join(dir, "api-server.key"),
		serviceAccountKey: filepath.Join(dir, "service-account.key"),
		tokens:            filepath.Join(dir, "tokens.csv"),
		kubeconfig:        filepath.Join(dir, "kubeconfig"),
	}
	certificate, key, err := cert.GenerateSelfSignedCertKey("kubernetes", addresses, apiServerNames)
	if err != nil {
		return files{}, err
	}
	serviceAccountKey, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return files{}, err
	}
	token := rand.Text()
	for file, content := range map[string][]byte{
		f.certificate:       certificate,
		f.key:               key,
		f.serviceAccountKey: serviceAccountKey,
		f.tokens:            fmt.Appendf(nil, "%s,admin,admin,system:masters\n", token),
	} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return files{}, err
		}
	}
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters["e2e"] = &clientcmdapi.Cluster{Server: apiServerURL, CertificateAuthorityData: certificate}
	kubeconfig.AuthInfos["admin"] = &clientcmdapi.AuthInfo{Token: token}
	kubeconfig.Contexts["e2e"] = &clientcmdapi.Context{Cluster: "e2e", AuthInfo: "admin"}
	kubeconfig.CurrentContext = "e2e"
	return f, clientcmd.WriteToFile(*kubeconfig, f.kubeconfig)
}

// apiServerNames are the names by which pods reach the API server.
var apiServerNames = []string{"kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + dns.Domain}

// loopback is the address by which the other servers reach the API server.
var loopback = []net.IP{net.IPv4(127, 0, 0, 1)}

// apiServerAddresses returns the addresses of the API server: the loopback address for the other servers, the address
// of the node, and the address of the Service "kubernetes", which is the first of the network of Services.
func apiServerAddresses(o Options) ([]net.IP, error) {
	services, err := netip.ParsePrefix(o.ServiceNetwork)
	if err != nil {
		return nil, fmt.Errorf("network of Services: %w", err)
	}
	return append(loopback, net.ParseIP(o.NodeIP), services.Masked().Addr().Next().AsSlice()), nil
}
