// Package dns resolves the names of Services, as CoreDNS does in other clusters: NAME.NAMESPACE.svc.cluster.local is
// the address of the Service, or the addresses of its pods if the Service has no address. No other name exists.
package dns

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Domain is the suffix of the names of the cluster.
const Domain = "cluster.local"

const suffix = ".svc." + Domain + "."

// port is the port that resolvers use.
const port = "53"

// largest is the maximum size of a UDP message unless the resolver offers more (RFC 1035, 4.2.1).
const largest = 512

// Serve answers over UDP at an address of this machine until the context ends.
func Serve(ctx context.Context, ip string, client kubernetes.Interface) error {
	socket, err := net.ListenPacket("udp4", net.JoinHostPort(ip, port))
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { socket.Close() })
	go func() {
		for {
			query := make([]byte, largest)
			n, from, err := socket.ReadFrom(query)
			if err != nil {
				return
			}
			go func() {
				if reply, err := answer(ctx, client, query[:n]); err == nil {
					_, _ = socket.WriteTo(reply, from) // a resolver without an answer asks again
				}
			}()
		}
	}()
	return nil
}

// answer returns the reply to a query.
func answer(ctx context.Context, client kubernetes.Interface, query []byte) ([]byte, error) {
	var asked dnsmessage.Message
	if err := asked.Unpack(query); err != nil {
		return nil, err
	}
	reply := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: asked.ID, Response: true, Authoritative: true, RecursionDesired: asked.RecursionDesired, RecursionAvailable: true,
		},
		Questions: asked.Questions,
	}
	for _, question := range asked.Questions {
		addresses, code := lookup(ctx, client, strings.ToLower(question.Name.String()))
		if code != dnsmessage.RCodeSuccess {
			reply.RCode = code
		}
		if question.Type != dnsmessage.TypeA {
			continue // the name exists, but has no address of this type
		}
		for _, address := range addresses {
			reply.Answers = append(reply.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 1},
				Body:   &dnsmessage.AResource{A: address.As4()},
			})
		}
	}
	return reply.Pack()
}

// lookup returns the addresses of a Service.
func lookup(ctx context.Context, client kubernetes.Interface, name string) ([]netip.Addr, dnsmessage.RCode) {
	labels := strings.Split(strings.TrimSuffix(name, suffix), ".")
	if !strings.HasSuffix(name, suffix) || len(labels) != 2 {
		return nil, dnsmessage.RCodeNameError
	}
	service, namespace := labels[0], labels[1]
	found, err := client.CoreV1().Services(namespace).Get(ctx, service, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, dnsmessage.RCodeNameError
	case err != nil:
		return nil, dnsmessage.RCodeServerFailure
	}
	if own, err := netip.ParseAddr(found.Spec.ClusterIP); err == nil {
		return []netip.Addr{own}, dnsmessage.RCodeSuccess
	}
	slices, err := client.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{
		LabelSelector: "kubernetes.io/service-name=" + service,
	})
	if err != nil {
		return nil, dnsmessage.RCodeServerFailure
	}
	var addresses []netip.Addr
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			for _, address := range endpoint.Addresses {
				if a, err := netip.ParseAddr(address); err == nil && a.Is4() {
					addresses = append(addresses, a)
				}
			}
		}
	}
	return addresses, dnsmessage.RCodeSuccess
}
