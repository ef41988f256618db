package sock

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/address"
)

// A listener whose backlog is full accepts no more connections: the SYN is dropped, and connect
// would block for minutes.
func TestConnectGivesUpInTime(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer func() { _ = syscall.Close(fd) }()
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	name, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	to := To(address.Loopback4, uint16(name.(*syscall.SockaddrInet4).Port))
	var conns []Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for {
		c, err := Connect(Stream, to, For(200*time.Millisecond, nil))
		if err == nil {
			conns = append(conns, c)
			require.Less(t, len(conns), 100, "the backlog never fills")
			continue
		}
		assert.ErrorIs(t, err, ErrTimeout) // the kernel's own limit, which is minutes, gives another error
		return
	}
}

func TestReceiveIsInterrupted(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	to := To(address.Loopback4, uint16(listener.Addr().(*net.TCPAddr).Port))
	c, err := Connect(Stream, to, For(time.Minute, nil))
	require.NoError(t, err)
	defer c.Close()
	asked := 0
	_, err = c.Receive(make([]byte, 1), For(time.Minute, func() bool { asked++; return asked > 3 }))
	assert.ErrorIs(t, err, ErrInterrupted)
}

func TestRefused(t *testing.T) {
	for ip, to := range map[string]address.IP{"127.0.0.1": address.Loopback4, "[::1]": address.Loopback6} {
		t.Run(ip, func(t *testing.T) {
			var err error
			for tries := 0; tries < 10 && !IsRefused(err); tries++ { // another program may take the port at once
				listener, listenErr := net.Listen("tcp", ip+":0")
				if to == address.Loopback6 && listenErr != nil {
					t.Skip("needs IPv6: ", listenErr)
				}
				require.NoError(t, listenErr)
				require.NoError(t, listener.Close())
				_, err = Connect(Stream, To(to, uint16(listener.Addr().(*net.TCPAddr).Port)), For(time.Minute, nil))
			}
			assert.True(t, IsRefused(err), "%v", err)
		})
	}
}
