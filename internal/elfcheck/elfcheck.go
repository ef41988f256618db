// Package elfcheck reads from the header of a Linux program which platform it is for, and
// whether it needs other files to run.
package elfcheck

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"strings"
)

// A machine is what the header of a program says about its processor.
type machine struct {
	of    elf.Machine
	class elf.Class
	order elf.Data
}

// machines are the headers of the architectures.
var machines = map[string]machine{
	"386":      {elf.EM_386, elf.ELFCLASS32, elf.ELFDATA2LSB},
	"amd64":    {elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"arm":      {elf.EM_ARM, elf.ELFCLASS32, elf.ELFDATA2LSB},
	"arm64":    {elf.EM_AARCH64, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"loong64":  {elf.EM_LOONGARCH, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"mips":     {elf.EM_MIPS, elf.ELFCLASS32, elf.ELFDATA2MSB},
	"mipsle":   {elf.EM_MIPS, elf.ELFCLASS32, elf.ELFDATA2LSB},
	"mips64":   {elf.EM_MIPS, elf.ELFCLASS64, elf.ELFDATA2MSB},
	"mips64le": {elf.EM_MIPS, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"ppc64":    {elf.EM_PPC64, elf.ELFCLASS64, elf.ELFDATA2MSB},
	"ppc64le":  {elf.EM_PPC64, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"riscv64":  {elf.EM_RISCV, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"s390x":    {elf.EM_S390, elf.ELFCLASS64, elf.ELFDATA2MSB},
}

// ErrDynamic says that a program needs other files to run.
var ErrDynamic = errors.New("is not static")

// Static checks that a program is for a platform such as linux/arm64, and needs no other file
// to run. It returns ErrDynamic for a program that is for the platform and needs other files.
func Static(program []byte, platform string) error {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return err
	}
	_, architecture, _ := strings.Cut(platform, "/")
	architecture, _, _ = strings.Cut(architecture, "/")
	if got := (machine{f.Machine, f.Class, f.Data}); got != machines[architecture] {
		return fmt.Errorf("is for %s %s %s, not %s", got.of, got.class, got.order, architecture)
	}
	for _, segment := range f.Progs {
		if segment.Type == elf.PT_INTERP {
			return ErrDynamic
		}
	}
	// A dynamic section alone proves nothing: static programs that can be loaded at any address
	// have one, such as those of Rust with musl.
	if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 {
		return ErrDynamic
	}
	return nil
}
