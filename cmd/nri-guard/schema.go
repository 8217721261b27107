package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/nri-guard/nri-guard/engine/document"
)

func newSchema() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema [review|config]",
		Short: "Print the JSON schema of the review document or of the configuration",
		Long: `Print a JSON schema.

review, which is the default, is the document that policies see as input: put it
where opa and editors look for the schema of input to have policies checked while
they are written. config is the configuration file.`,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []cobra.Completion{"review", "config"},
		RunE: func(cmd *cobra.Command, args []string) error {
			schema := document.Schema()
			if len(args) == 1 && args[0] == "config" {
				var err error
				if schema, err = json.MarshalIndent(configSchema(), "", "  "); err != nil {
					return err
				}
				schema = append(schema, '\n')
			}
			_, err := cmd.OutOrStdout().Write(schema)
			return err
		},
	}
	addChoice(cmd, "format", "json", "how the schema is printed", "json")
	return cmd
}
