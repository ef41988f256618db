#include "textflag.h"

// What and why: entry_linux_amd64.s.

DATA jobmesh_action<>+0(SB)/8, $jobmesh_early(SB)
DATA jobmesh_action<>+8(SB)/8, $0 // flags
DATA jobmesh_action<>+16(SB)/8, $0 // restorer
DATA jobmesh_action<>+24(SB)/8, $0 // mask
GLOBL jobmesh_action<>(SB), NOPTR, $32

TEXT jobmesh_entry(SB),NOSPLIT|NOFRAME,$0
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
	MOVD	R7, R2
	MOVD	$0, R3
	MOVD	$·earlyAction(SB), R4
	MOVD	$8, R5
	MOVW	$174, R1
	SYSCALL
	BR	_rt0_s390x_linux(SB)

TEXT jobmesh_early(SB),NOSPLIT|NOFRAME,$0
	ADD	$128, R2
	MOVW	$248, R1 // exit_group
	SYSCALL
	UNDEF
