#include "textflag.h"

// What and why: entry_linux_amd64.s.

DATA jobmesh_action<>+0(SB)/4, $jobmesh_record(SB)
DATA jobmesh_action<>+4(SB)/4, $0x18000004 // SA_SIGINFO, SA_ONSTACK, SA_RESTART
DATA jobmesh_action<>+8(SB)/4, $0 // restorer
DATA jobmesh_action<>+12(SB)/4, $0xffffffff // mask
DATA jobmesh_action<>+16(SB)/4, $0xffffffff
GLOBL jobmesh_action<>(SB), NOPTR, $20

DATA jobmesh_variable<>+0(SB)/8, $"GOMAXPRO"
DATA jobmesh_variable<>+8(SB)/4, $"CS=1" // and zeros
GLOBL jobmesh_variable<>(SB), NOPTR, $16

TEXT jobmesh_entry(SB),NOSPLIT|NOFRAME,$0
	MOVW	R13, R0
	MOVW	(R0), R2
	ADD	$2, R2
	SUB	$8, R13
	MOVW	R13, R1
move:
	MOVW.P	4(R0), R3
	MOVW.P	R3, 4(R1)
	SUB.S	$1, R2
	BNE	move
	MOVW	R0, ·firstVariable(SB)
	MOVW	$jobmesh_variable<>(SB), R3
	MOVW	R3, (R1)
	MOVW	R3, 4(R1)
	MOVW	$175, R7 // rt_sigprocmask
	MOVW	$2, R0
	MOVW	$jobmesh_action<>+12(SB), R1
	MOVW	$0, R2
	MOVW	$8, R3
	SWI	$0
	MOVW	$1, R4
next:
	MOVW	$174, R7 // rt_sigaction
	MOVW	R4, R0
	MOVW	$jobmesh_action<>(SB), R1
	MOVW	$0, R2
	MOVW	$8, R3
	SWI	$0
	CMP	$15, R4
	BEQ	done
	ADD	$1, R4
	CMP	$4, R4
	BNE	next
	MOVW	$15, R4
	B	next
done:
	MOVW	$20, R7 // getpid
	SWI	$0
	MOVW	R0, ·ownPID(SB)
	MOVW	$174, R7
	MOVW	R4, R0
	MOVW	$0, R1
	MOVW	$·recordAction(SB), R2
	MOVW	$8, R3
	SWI	$0
	B	_rt0_arm_linux(SB)

// R4 is the caller's where that is the runtime.
TEXT jobmesh_record(SB),NOSPLIT|NOFRAME,$0
	MOVW	R0, R12
	MOVW	$20, R7 // getpid
	SWI	$0
	MOVW	·ownPID(SB), R3
	CMP	R0, R3
	BNE	return
	MOVW	8(R1), R2 // si_code
	CMP	$-6, R2
	BNE	fault
	MOVW	12(R1), R3 // si_pid
	CMP	R0, R3
	BEQ	leave
fault:
	CMP	$31, R12
	BGT	record
	MOVW	$1, R3
	MOVW	R3<<R12, R3
	TST	$0x9b0, R3
	BEQ	record
	CMP	$0, R2
	BGT	leave
record:
	MOVW	$1, R2
	MOVW	$·recorded(SB), R3
	MOVW	R2, R12<<2(R3)
	MOVW	$13, R1
	MOVW	$37, R7 // kill
	SWI	$0
return:
	B	(R14)
leave:
	ADD	$128, R12, R0
	MOVW	$248, R7 // exit_group
	SWI	$0
	MOVW	$0, R0
	MOVW	R0, (R0)
