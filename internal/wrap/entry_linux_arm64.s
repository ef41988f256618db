#include "textflag.h"

// What and why: entry_linux_amd64.s.

DATA jobmesh_action<>+0(SB)/8, $jobmesh_early(SB)
DATA jobmesh_action<>+8(SB)/8, $0 // flags
DATA jobmesh_action<>+16(SB)/8, $0 // restorer
DATA jobmesh_action<>+24(SB)/8, $0 // mask
GLOBL jobmesh_action<>(SB), NOPTR, $32

TEXT jobmesh_entry(SB),NOSPLIT|NOFRAME,$0
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
	MOVD	$134, R8
	MOVD	R19, R0
	MOVD	$0, R1
	MOVD	$·earlyAction(SB), R2
	MOVD	$8, R3
	SVC
	JMP	_rt0_arm64_linux(SB)

TEXT jobmesh_early(SB),NOSPLIT|NOFRAME,$0
	ADD	$128, R0
	MOVD	$94, R8 // exit_group
	SVC
	BRK
