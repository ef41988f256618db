#include "textflag.h"

// The release is linked with -E jobmesh_entry: this runs ahead of the Go runtime.
//
// Between here and the first line of Go lie some tenths of a millisecond in which
// a SIGTERM finds the runtime's handler and nobody who subscribed to it. The
// runtime then dies of the signal, which PID 1 cannot: it exits with code 2, as if
// something else had gone wrong. And os/signal, once there is a subscription,
// needs three threads, in a container that may be allowed eight processes.
//
// So signals are blocked here, which the runtime's threads inherit, and wait until
// the wrapper asks for them (signals.go). Those that the runtime does not let be
// blocked get the handler jobmesh_record: the wrapper installs it for all of them,
// and this for SIGHUP, SIGINT, SIGQUIT and SIGTERM. In the time between, the
// runtime has its own, and turns to the one it found where it would die of the
// signal. Exec resets handlers, so no command sees any of it. Built without the
// flag, the wrapper leaves signals to os/signal, and is the same otherwise.
//
// The second thing that the runtime is told is to run on one processor. It reserves
// memory for each that a node has, 18 kB, before any Go code can say how many it
// wants; only its environment is read before that. So two words are made room for
// between the arguments and the environment on the stack, both the variable that
// says so (the stack stays aligned), and ·firstVariable keeps where the real one
// begins, which is the command's.

// The kernel's struct sigaction: handler; flags SA_SIGINFO, SA_RESTORER (which
// this architecture insists on), SA_ONSTACK and SA_RESTART; restorer; mask.
DATA jobmesh_action<>+0(SB)/8, $jobmesh_record(SB)
DATA jobmesh_action<>+8(SB)/8, $0x1c000004
DATA jobmesh_action<>+16(SB)/8, $jobmesh_return(SB)
DATA jobmesh_action<>+24(SB)/8, $0xffffffffffffffff
GLOBL jobmesh_action<>(SB), NOPTR, $32

DATA jobmesh_variable<>+0(SB)/8, $"GOMAXPRO"
DATA jobmesh_variable<>+8(SB)/4, $"CS=1" // and zeros
GLOBL jobmesh_variable<>(SB), NOPTR, $16

TEXT jobmesh_entry(SB),NOSPLIT|NOFRAME,$0
	MOVQ	SP, SI // argc, the arguments and a NULL move down by two words
	SUBQ	$16, SP
	MOVQ	SP, DI
	MOVQ	(SI), CX
	ADDQ	$2, CX
	CLD
	REP
	MOVSQ
	MOVQ	SI, ·firstVariable(SB)
	LEAQ	jobmesh_variable<>(SB), AX
	MOVQ	AX, (DI)
	MOVQ	AX, 8(DI)
	MOVQ	$14, AX // rt_sigprocmask(SIG_SETMASK, all, NULL, 8)
	MOVQ	$2, DI
	LEAQ	jobmesh_action<>+24(SB), SI
	MOVQ	$0, DX
	MOVQ	$8, R10
	SYSCALL
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
	MOVQ	$39, AX // getpid
	SYSCALL
	MOVL	AX, ·ownPID(SB)
	MOVQ	$13, AX // rt_sigaction(SIGTERM, NULL, recordAction, 8), for Go code
	MOVQ	R12, DI
	MOVQ	$0, SI
	LEAQ	·recordAction(SB), DX
	MOVQ	$8, R10
	SYSCALL
	JMP	_rt0_amd64_linux(SB)

// jobmesh_record(signal, info, context) notes in ·recorded that a signal has come,
// and wakes whoever waits for one, with SIGPIPE. It does nothing in a child between
// fork and exec, which shares the memory and may have a handler that the runtime
// knows nothing of. Two ends come through here too, and exit with 128 and the
// signal's number: a signal that this process sends to one thread, which is the
// runtime dying of it, and a fault of the wrapper's own.
TEXT jobmesh_record(SB),NOSPLIT|NOFRAME,$0
	MOVQ	DI, R12
	MOVQ	$39, AX // getpid
	SYSCALL
	CMPL	·ownPID(SB), AX
	JNE	return
	MOVL	8(SI), DX // si_code
	CMPL	DX, $-6   // SI_TKILL
	JNE	fault
	CMPL	16(SI), AX // si_pid
	JEQ	leave
fault:
	MOVL	$0x9b0, CX // SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV
	BTQ	R12, CX
	JCC	record
	CMPL	DX, $0 // the kernel's; somebody's kill has none above 0
	JGT	leave
record:
	LEAQ	·recorded(SB), CX
	MOVL	$1, (CX)(R12*4)
	MOVQ	AX, DI
	MOVQ	$13, SI
	MOVQ	$62, AX // kill
	SYSCALL
return:
	RET
leave:
	LEAQ	128(R12), DI
	MOVQ	$231, AX // exit_group
	SYSCALL
	INT	$3

TEXT jobmesh_return(SB),NOSPLIT|NOFRAME,$0
	MOVQ	$15, AX // rt_sigreturn
	SYSCALL
	INT	$3
