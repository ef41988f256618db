#include "textflag.h"

// What and why: entry_linux_amd64.s.

DATA jobmesh_action<>+0(SB)/8, $jobmesh_record(SB)
DATA jobmesh_action<>+8(SB)/8, $0x18000004 // SA_SIGINFO, SA_ONSTACK, SA_RESTART; no restorer here
DATA jobmesh_action<>+16(SB)/8, $0xffffffffffffffff
GLOBL jobmesh_action<>(SB), NOPTR, $24

DATA jobmesh_variable<>+0(SB)/8, $"GOMAXPRO"
DATA jobmesh_variable<>+8(SB)/4, $"CS=1" // and zeros
GLOBL jobmesh_variable<>(SB), NOPTR, $16

TEXT jobmesh_entry(SB),NOSPLIT|NOFRAME,$0
	MOV	X2, A0
	MOV	(A0), A2
	ADD	$2, A2
	ADD	$-16, X2
	MOV	X2, A1
move:
	MOV	(A0), A3
	MOV	A3, (A1)
	ADD	$8, A0
	ADD	$8, A1
	ADD	$-1, A2
	BNEZ	A2, move
	MOV	A0, ·firstVariable(SB)
	MOV	$jobmesh_variable<>(SB), A3
	MOV	A3, (A1)
	MOV	A3, 8(A1)
	MOV	$135, A7 // rt_sigprocmask
	MOV	$2, A0
	MOV	$jobmesh_action<>+16(SB), A1
	MOV	$0, A2
	MOV	$8, A3
	ECALL
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
	MOV	$172, A7 // getpid
	ECALL
	MOVW	A0, ·ownPID(SB)
	MOV	$134, A7
	MOV	S2, A0
	MOV	$0, A1
	MOV	$·recordAction(SB), A2
	MOV	$8, A3
	ECALL
	JMP	_rt0_riscv64_linux(SB)

TEXT jobmesh_record(SB),NOSPLIT|NOFRAME,$0
	MOV	A0, A5
	MOV	$172, A7 // getpid
	ECALL
	MOVW	·ownPID(SB), A2
	BNE	A0, A2, return
	MOVW	8(A1), A2 // si_code
	MOV	$-6, A3
	BNE	A2, A3, fault
	MOVW	16(A1), A3 // si_pid
	BEQ	A0, A3, leave
fault:
	MOV	$1, A4
	SLL	A5, A4, A3
	AND	$0x9b0, A3, A3
	BEQZ	A3, record
	BGTZ	A2, leave
record:
	MOV	$·recorded(SB), A3
	SLL	$2, A5, A2
	ADD	A2, A3
	MOVW	A4, (A3)
	MOV	$13, A1
	MOV	$129, A7 // kill
	ECALL
return:
	RET
leave:
	ADD	$128, A5, A0
	MOV	$94, A7 // exit_group
	ECALL
	EBREAK
