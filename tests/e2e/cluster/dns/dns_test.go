package dns

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestAnswer(t *testing.T) {
	client := fake.NewClientset(
		&corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: "server", Namespace: "shop"},
			Spec:       corev1.ServiceSpec{ClusterIP: "203.0.113.7"},
		},
		&corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: "headless", Namespace: "shop"},
			Spec:       corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone},
		},
		&discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Name: "headless-1", Namespace: "shop", Labels: map[string]string{"kubernetes.io/service-name": "headless"}},
			Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"198.51.100.2"}}, {Addresses: []string{"198.51.100.3"}}},
		},
	)
	for name, test := range map[string]struct {
		asked string
		kind  dnsmessage.Type
		want  []string
		code  dnsmessage.RCode
	}{
		"a Service":             {"server.shop.svc.cluster.local.", dnsmessage.TypeA, []string{"203.0.113.7"}, dnsmessage.RCodeSuccess},
		"in capitals":           {"Server.SHOP.svc.cluster.local.", dnsmessage.TypeA, []string{"203.0.113.7"}, dnsmessage.RCodeSuccess},
		"no IPv6":               {"server.shop.svc.cluster.local.", dnsmessage.TypeAAAA, nil, dnsmessage.RCodeSuccess},
		"headless":              {"headless.shop.svc.cluster.local.", dnsmessage.TypeA, []string{"198.51.100.2", "198.51.100.3"}, dnsmessage.RCodeSuccess},
		"another namespace":     {"server.bank.svc.cluster.local.", dnsmessage.TypeA, nil, dnsmessage.RCodeNameError},
		"a search domain added": {"server.shop.svc.cluster.local.shop.svc.cluster.local.", dnsmessage.TypeA, nil, dnsmessage.RCodeNameError},
		"outside":               {"example.com.", dnsmessage.TypeA, nil, dnsmessage.RCodeNameError},
	} {
		t.Run(name, func(t *testing.T) {
			query := dnsmessage.Message{
				Header:    dnsmessage.Header{ID: 17, RecursionDesired: true},
				Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(test.asked), Type: test.kind, Class: dnsmessage.ClassINET}},
			}
			packed, err := query.Pack()
			require.NoError(t, err)
			reply, err := answer(t.Context(), client, packed)
			require.NoError(t, err)
			var got dnsmessage.Message
			require.NoError(t, got.Unpack(reply))
			assert.EqualValues(t, 17, got.ID)
			assert.True(t, got.Response)
			assert.Equal(t, test.code, got.RCode)
			var addresses []string
			for _, a := range got.Answers {
				assert.Equal(t, test.asked, a.Header.Name.String())
				address := a.Body.(*dnsmessage.AResource).A
				addresses = append(addresses, netip.AddrFrom4(address).String())
			}
			assert.Equal(t, test.want, addresses)
		})
	}
}

func TestWhatIsNoQueryGetsNoAnswer(t *testing.T) {
	_, err := answer(t.Context(), fake.NewClientset(), []byte("hello"))
	assert.Error(t, err)
}
