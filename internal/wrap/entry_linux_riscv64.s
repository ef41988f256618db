#include "textflag.h"

// What and why: entry_linux_amd64.s.

DATA jobmesh_action<>+0(SB)/8, $jobmesh_early(SB)
DATA jobmesh_action<>+8(SB)/8, $0 // flags; no restorer here
DATA jobmesh_action<>+16(SB)/8, $0 // mask
GLOBL jobmesh_action<>(SB), NOPTR, $24

TEXT jobmesh_entry(SB),NOSPLIT|NOFRAME,$0
	MOV	$1, S2
next:
	MOV	$134, A7 // rt_sigaction
	MOV	S2, A0
	MOV	$jobmesh_action<>(SB), A1
	MOV	$0, A2
	MOV	$8, A3
	ECALL
	MOV	$15, A0
	BEQ	S2, A0, done
	ADD	$1, S2
	MOV	$4, A0
	BNE	S2, A0, next
	MOV	$15, S2
	JMP	next
done:
	MOV	$134, A7
	MOV	S2, A0
	MOV	$0, A1
	MOV	$·earlyAction(SB), A2
	MOV	$8, A3
	ECALL
	JMP	_rt0_riscv64_linux(SB)

TEXT jobmesh_early(SB),NOSPLIT|NOFRAME,$0
	ADD	$128, A0
	MOV	$94, A7 // exit_group
	ECALL
	EBREAK
