#include "textflag.h"

// What and why: entry_linux_amd64.s.

DATA jobmesh_action<>+0(SB)/4, $jobmesh_early(SB)
DATA jobmesh_action<>+4(SB)/4, $0 // flags
DATA jobmesh_action<>+8(SB)/4, $0 // restorer
DATA jobmesh_action<>+12(SB)/4, $0 // mask
DATA jobmesh_action<>+16(SB)/4, $0
GLOBL jobmesh_action<>(SB), NOPTR, $20

TEXT jobmesh_entry(SB),NOSPLIT|NOFRAME,$0
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
	MOVW	$174, R7
	MOVW	R4, R0
	MOVW	$0, R1
	MOVW	$·earlyAction(SB), R2
	MOVW	$8, R3
	SWI	$0
	B	_rt0_arm_linux(SB)

TEXT jobmesh_early(SB),NOSPLIT|NOFRAME,$0
	ADD	$128, R0
	MOVW	$248, R7 // exit_group
	SWI	$0
	MOVW	$0, R0
	MOVW	R0, (R0)
