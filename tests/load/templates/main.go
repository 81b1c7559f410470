// Renders templates as ghz does: by Go's text/template with the functions of sprig.
//
// Standard input is a JSON list of objects: `template`, `variables`, and `functions`, whether those
// of sprig are there. Standard output is a list of objects in the same order: `text` or `error`.
package main

import (
	"encoding/json"
	"log"
	"os"
	"reflect"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

type job struct {
	Template  string         `json:"template"`
	Variables map[string]any `json:"variables"`
	Functions bool           `json:"functions"`
}

type result struct {
	Text  *string `json:"text,omitempty"`
	Error string  `json:"error,omitempty"`
}

func main() {
	decoder := json.NewDecoder(os.Stdin)
	decoder.UseNumber()
	var jobs []job
	if err := decoder.Decode(&jobs); err != nil {
		log.Fatal(err)
	}
	results := make([]result, 0, len(jobs))
	for _, each := range jobs {
		results = append(results, render(each))
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		log.Fatal(err)
	}
}

func render(each job) result {
	t := template.New("")
	if each.Functions {
		t = t.Funcs(template.FuncMap(sprig.FuncMap()))
	}
	t, err := t.Parse(each.Template)
	if err != nil {
		return result{Error: err.Error()}
	}
	var text strings.Builder
	if err := t.Execute(&text, structOf(each.Variables)); err != nil {
		return result{Error: err.Error()}
	}
	rendered := text.String()
	return result{Text: &rendered}
}

// structOf makes a struct of the variables, as ghz has one: a field that is not there is an error.
func structOf(variables map[string]any) any {
	names := make([]string, 0, len(variables))
	for name := range variables {
		names = append(names, name)
	}
	sort.Strings(names)
	fields := make([]reflect.StructField, 0, len(names))
	for _, name := range names {
		fields = append(fields, reflect.StructField{Name: name, Type: reflect.TypeFor[any]()})
	}
	value := reflect.New(reflect.StructOf(fields)).Elem()
	for index, name := range names {
		if plain := plain(variables[name]); plain != nil {
			value.Field(index).Set(reflect.ValueOf(plain))
		}
	}
	return value.Interface()
}

// plain returns the value with an int or a float64 for each number.
func plain(value any) any {
	switch value := value.(type) {
	case json.Number:
		if whole, err := value.Int64(); err == nil {
			return int(whole)
		}
		number, err := value.Float64()
		if err != nil {
			log.Fatal(err)
		}
		return number
	case []any:
		for index := range value {
			value[index] = plain(value[index])
		}
	case map[string]any:
		for key := range value {
			value[key] = plain(value[key])
		}
	}
	return value
}
