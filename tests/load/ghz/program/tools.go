//go:build tools

// The ghz that reports are compared with, pinned by go.mod and go.sum.
package tools

import _ "github.com/bojand/ghz/cmd/ghz"
