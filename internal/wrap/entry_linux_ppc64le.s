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
	MOVD	R1, R3
	MOVD	(R3), R5
	ADD	$2, R5
	ADD	$-16, R1
	MOVD	R1, R4
move:
	MOVD	(R3), R6
	MOVD	R6, (R4)
	ADD	$8, R3
	ADD	$8, R4
	ADD	$-1, R5
	CMP	R5, $0
	BNE	move
	MOVD	R3, ·firstVariable(SB)
	MOVD	$jobmesh_variable<>(SB), R6
	MOVD	R6, (R4)
	MOVD	R6, 8(R4)
	XOR	R0, R0
	MOVD	$2, R3
	MOVD	$jobmesh_action<>+24(SB), R4
	MOVD	$0, R5
	MOVD	$8, R6
	SYSCALL	$174 // rt_sigprocmask
	XOR	R0, R0
	MOVD	$1, R14
next:
	MOVD	R14, R3
	MOVD	$jobmesh_action<>(SB), R4
	MOVD	$0, R5
	MOVD	$8, R6
	SYSCALL	$173 // rt_sigaction
	XOR	R0, R0
	CMP	R14, $15
	BEQ	done
	ADD	$1, R14
	CMP	R14, $4
	BNE	next
	MOVD	$15, R14
	BR	next
done:
	SYSCALL	$20 // getpid
	XOR	R0, R0
	MOVW	R3, ·ownPID(SB)
	MOVD	R14, R3
	MOVD	$0, R4
	MOVD	$·recordAction(SB), R5
	MOVD	$8, R6
	SYSCALL	$173
	BR	_rt0_ppc64le_linux(SB)

TEXT jobmesh_record(SB),NOSPLIT|NOFRAME,$0
	MOVD	R3, R14
	MOVD	R4, R15
	SYSCALL	$20 // getpid
	XOR	R0, R0
	MOVW	·ownPID(SB), R16
	CMPW	R3, R16
	BNE	return
	MOVW	8(R15), R16 // si_code
	CMPW	R16, $-6
	BNE	fault
	MOVW	16(R15), R17 // si_pid
	CMPW	R3, R17
	BEQ	leave
fault:
	MOVD	$1, R18
	SLD	R14, R18, R17
	ANDCC	$0x9b0, R17, R17
	BEQ	record
	CMPW	R16, $0
	BGT	leave
record:
	MOVD	$·recorded(SB), R16
	SLD	$2, R14, R17
	MOVW	R18, (R16)(R17)
	MOVD	$13, R4
	SYSCALL	$37 // kill
	XOR	R0, R0
return:
	RET
leave:
	ADD	$128, R14, R3
	SYSCALL	$234 // exit_group
	UNDEF
