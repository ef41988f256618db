#include "textflag.h"

// What and why: entry_linux_amd64.s.

DATA jobmesh_action<>+0(SB)/8, $jobmesh_early(SB)
DATA jobmesh_action<>+8(SB)/8, $0 // flags
DATA jobmesh_action<>+16(SB)/8, $0 // restorer
DATA jobmesh_action<>+24(SB)/8, $0 // mask
GLOBL jobmesh_action<>(SB), NOPTR, $32

TEXT jobmesh_entry(SB),NOSPLIT|NOFRAME,$0
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
	MOVD	R14, R3
	MOVD	$0, R4
	MOVD	$·earlyAction(SB), R5
	MOVD	$8, R6
	SYSCALL	$173
	BR	_rt0_ppc64le_linux(SB)

TEXT jobmesh_early(SB),NOSPLIT|NOFRAME,$0
	ADD	$128, R3
	SYSCALL	$234 // exit_group
	UNDEF
