package image

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Schema is the JSON schema of image.yaml. Every recipe is checked against it.
//
//go:embed image.schema.json
var Schema []byte

const schemaName = "image.schema.json"

// checkSchema checks a recipe, which is JSON. The error has all mistakes, one on each line.
func checkSchema(recipe []byte) error {
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		return fmt.Errorf("%s: %w", schemaName, err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(schemaName, schema); err != nil {
		return err
	}
	compiled, err := compiler.Compile(schemaName)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(recipe))
	if err != nil {
		return err
	}
	err = compiled.Validate(value)
	var wrong *jsonschema.ValidationError
	if !errors.As(err, &wrong) {
		return err
	}
	return errors.Join(mistakes(wrong, message.NewPrinter(language.English))...)
}

// mistakes returns the leaves of a tree of errors. An inner node only says that something below
// it is wrong.
func mistakes(e *jsonschema.ValidationError, english *message.Printer) []error {
	if len(e.Causes) == 0 {
		text := e.ErrorKind.LocalizedString(english)
		if at := strings.Join(e.InstanceLocation, "."); at != "" {
			text = at + ": " + text
		}
		return []error{errors.New(text)}
	}
	var all []error
	for _, cause := range e.Causes {
		all = append(all, mistakes(cause, english)...)
	}
	return all
}
