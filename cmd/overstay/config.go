package main

import (
	"bytes"

	"github.com/spf13/cobra"

	"overstay/internal/app"
)

func newConfig(g *global) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check a configuration file, or print an example",
	}
	group(c)
	c.AddCommand(newConfigCheck(g), newConfigExample(g))
	return c
}

func newConfigCheck(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say whether a configuration file can be used",
		Long:  configCheckHelp,
		Args:  args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, files []string) error {
			if len(files) == 1 {
				g.config = files[0]
			}
			if g.config == "" {
				return usage(c, "no file named")
			}
			cfg, err := g.load()
			if err != nil {
				return err
			}
			if err := cfg.VerifyPolicies(); err != nil {
				return configError(err)
			}
			if g.ui.json {
				return g.ui.printJSON(map[string]any{"file": g.config, "ok": true, "services": len(cfg.Services), "policies": len(cfg.ActivePolicies())})
			}
			g.ui.configGood(g.config, cfg)
			return nil
		},
	}
}

func newConfigExample(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "example",
		Short: "Print a configuration file of all settings and their defaults",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			var text bytes.Buffer
			if err := app.WriteExample(&text); err != nil {
				return err
			}
			_, err := g.ui.out.Write(text.Bytes())
			return err
		},
	}
}
