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
	MOVD	RSP, R0
	MOVD	(R0), R2
	ADD	$2, R2
	SUB	$16, RSP
	MOVD	RSP, R1
move:
	MOVD.P	8(R0), R3
	MOVD.P	R3, 8(R1)
	SUBS	$1, R2
	BNE	move
	MOVD	R0, ·firstVariable(SB)
	MOVD	$jobmesh_variable<>(SB), R3
	MOVD	R3, (R1)
	MOVD	R3, 8(R1)
	MOVD	$135, R8 // rt_sigprocmask
	MOVD	$2, R0
	MOVD	$jobmesh_action<>+24(SB), R1
	MOVD	$0, R2
	MOVD	$8, R3
	SVC
	MOVD	$1, R19
next:
	MOVD	$134, R8 // rt_sigaction
	MOVD	R19, R0
	MOVD	$jobmesh_action<>(SB), R1
	MOVD	$0, R2
	MOVD	$8, R3
	SVC
	CMP	$15, R19
	BEQ	done
	ADD	$1, R19
	CMP	$4, R19
	BNE	next
	MOVD	$15, R19
	JMP	next
done:
	MOVD	$172, R8 // getpid
	SVC
	MOVW	R0, ·ownPID(SB)
	MOVD	$134, R8
	MOVD	R19, R0
	MOVD	$0, R1
	MOVD	$·recordAction(SB), R2
	MOVD	$8, R3
	SVC
	JMP	_rt0_arm64_linux(SB)

TEXT jobmesh_record(SB),NOSPLIT|NOFRAME,$0
	MOVD	R0, R9
	MOVD	$172, R8 // getpid
	SVC
	MOVW	·ownPID(SB), R10
	CMPW	R0, R10
	BNE	return
	MOVW	8(R1), R10 // si_code
	CMPW	$-6, R10
	BNE	fault
	MOVW	16(R1), R11 // si_pid
	CMPW	R0, R11
	BEQ	leave
fault:
	MOVD	$1, R12
	LSL	R9, R12, R11
	TST	$0x9b0, R11
	BEQ	record
	CMPW	$0, R10
	BGT	leave
record:
	MOVD	$·recorded(SB), R10
	LSL	$2, R9, R11
	MOVW	R12, (R10)(R11)
	MOVD	$13, R1
	MOVD	$129, R8 // kill
	SVC
return:
	RET
leave:
	ADD	$128, R9, R0
	MOVD	$94, R8 // exit_group
	SVC
	BRK
