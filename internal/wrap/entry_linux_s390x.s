#include "textflag.h"

// What and why: entry_linux_amd64.s.

DATA jobmesh_action<>+0(SB)/8, $jobmesh_record(SB)
DATA jobmesh_action<>+8(SB)/8, $0x18000004 // SA_SIGINFO, SA_ONSTACK, SA_RESTART
DATA jobmesh_action<>+16(SB)/8, $0 // restorer
DATA jobmesh_action<>+24(SB)/8, $0xffffffffffffffff
GLOBL jobmesh_action<>(SB), NOPTR, $32

DATA jobmesh_variable<>+0(SB)/8, $"GOMAXPRO"
DATA jobmesh_variable<>+8(SB)/4, $"CS=1" // and zeros
GLOBL jobmesh_variable<>(SB), NOPTR, $16

TEXT jobmesh_entry(SB),NOSPLIT|NOFRAME,$0
	MOVD	R15, R2
	MOVD	(R2), R4
	ADD	$2, R4
	ADD	$-16, R15
	MOVD	R15, R3
move:
	MOVD	(R2), R5
	MOVD	R5, (R3)
	ADD	$8, R2
	ADD	$8, R3
	ADD	$-1, R4
	CMPBNE	R4, $0, move
	MOVD	R2, ·firstVariable(SB)
	MOVD	$jobmesh_variable<>(SB), R5
	MOVD	R5, (R3)
	MOVD	R5, 8(R3)
	MOVD	$2, R2
	MOVD	$jobmesh_action<>+24(SB), R3
	MOVD	$0, R4
	MOVD	$8, R5
	MOVW	$175, R1 // rt_sigprocmask
	SYSCALL
	MOVD	$1, R7
next:
	MOVD	R7, R2
	MOVD	$jobmesh_action<>(SB), R3
	MOVD	$0, R4
	MOVD	$8, R5
	MOVW	$174, R1 // rt_sigaction
	SYSCALL
	CMPBEQ	R7, $15, done
	ADD	$1, R7
	CMPBNE	R7, $4, next
	MOVD	$15, R7
	BR	next
done:
	MOVW	$20, R1 // getpid
	SYSCALL
	MOVW	R2, ·ownPID(SB)
	MOVD	R7, R2
	MOVD	$0, R3
	MOVD	$·recordAction(SB), R4
	MOVD	$8, R5
	MOVW	$174, R1
	SYSCALL
	BR	_rt0_s390x_linux(SB)

TEXT jobmesh_record(SB),NOSPLIT|NOFRAME,$0
	MOVD	R2, R7
	MOVW	$20, R1 // getpid
	SYSCALL
	MOVW	·ownPID(SB), R4
	CMPBNE	R2, R4, return
	MOVW	8(R3), R4 // si_code
	CMPBNE	R4, $-6, fault
	MOVW	16(R3), R5 // si_pid
	CMPBEQ	R2, R5, leave
fault:
	MOVD	$1, R6
	SLD	R7, R6, R5
	AND	$0x9b0, R5
	CMPBEQ	R5, $0, record
	CMPBGT	R4, $0, leave
record:
	MOVD	$·recorded(SB), R5
	SLD	$2, R7, R1
	MOVW	R6, 0(R5)(R1*1)
	MOVD	$13, R3
	MOVW	$37, R1 // kill
	SYSCALL
return:
	BR	(R14)
leave:
	ADD	$128, R7, R2
	MOVW	$248, R1 // exit_group
	SYSCALL
	UNDEF
