#include "textflag.h"

// Between the first instruction of a Go program and the first line of its own lie
// some tenths of a millisecond in which a SIGTERM finds the runtime's handler and
// nobody who asked for it. The runtime then dies of the signal, which PID 1
// cannot: it exits with code 2, as if something else had gone wrong.
//
// So the release is linked with -E jobmesh_entry. Before the runtime starts, this
// installs a handler for SIGHUP, SIGINT, SIGQUIT and SIGTERM that exits with 128
// and the signal's number, as one that ends the wait does. The runtime keeps a
// handler that it finds, and turns to it where it would die of the signal; once
// the wrapper has subscribed to signals (catchSignals), that is over. Exec resets
// handlers, so no command sees any of it. Built without the flag, the wrapper has
// that gap and is the same otherwise.

// The kernel's struct sigaction: handler, flags (SA_RESTORER, which this
// architecture insists on), restorer (never reached), mask.
DATA jobmesh_action<>+0(SB)/8, $jobmesh_early(SB)
DATA jobmesh_action<>+8(SB)/8, $0x04000000
DATA jobmesh_action<>+16(SB)/8, $jobmesh_early(SB)
DATA jobmesh_action<>+24(SB)/8, $0
GLOBL jobmesh_action<>(SB), NOPTR, $32

TEXT jobmesh_entry(SB),NOSPLIT|NOFRAME,$0
	MOVQ	$1, R12 // SIGHUP, SIGINT and SIGQUIT are 1 to 3
next:
	MOVQ	$13, AX // rt_sigaction(signal, action, NULL, 8)
	MOVQ	R12, DI
	LEAQ	jobmesh_action<>(SB), SI
	MOVQ	$0, DX
	MOVQ	$8, R10
	SYSCALL
	CMPQ	R12, $15 // SIGTERM
	JEQ	done
	ADDQ	$1, R12
	CMPQ	R12, $4
	JNE	next
	MOVQ	$15, R12
	JMP	next
done:
	MOVQ	$13, AX // rt_sigaction(SIGTERM, NULL, earlyAction, 8)
	MOVQ	R12, DI
	MOVQ	$0, SI
	LEAQ	·earlyAction(SB), DX
	MOVQ	$8, R10
	SYSCALL
	JMP	_rt0_amd64_linux(SB)

TEXT jobmesh_early(SB),NOSPLIT|NOFRAME,$0
	ADDQ	$128, DI
	MOVQ	$231, AX // exit_group
	SYSCALL
	INT	$3
