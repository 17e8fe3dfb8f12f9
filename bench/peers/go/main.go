// The peer on Go's net/http and pgx 4: one process, a pool of 12, JSON put together by hand.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

const poolSize = 12

type server struct {
	pool                           *pgxpool.Pool
	content, batch, search, health string
}

type chunk struct {
	id, bookID                                              int64
	title, author, sourceType, chapter, pageLabel, pageKind string
	pageNumber, paragraph                                   int64
	content                                                 string
	tags, metadata                                          []byte
}

func (c *chunk) fields() []interface{} {
	return []interface{}{
		&c.id, &c.bookID, &c.title, &c.author, &c.sourceType, &c.chapter, &c.pageNumber,
		&c.pageLabel, &c.pageKind, &c.paragraph, &c.content, &c.tags, &c.metadata,
	}
}

func statement(name string) string {
	text, err := os.ReadFile(filepath.Join(os.Getenv("PEERS_SQL"), name+".sql"))
	if err != nil {
		log.Fatal(err)
	}
	return string(text)
}

func main() {
	config, err := pgxpool.ParseConfig("") // PGHOST, PGPORT, PGUSER, PGDATABASE
	if err != nil {
		log.Fatal(err)
	}
	config.MaxConns = poolSize
	pool, err := pgxpool.ConnectConfig(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	s := &server{pool, statement("content"), statement("batch"), statement("search"),
		statement("health")}
	http.HandleFunc("/api/content/batch", s.serveBatch)
	http.HandleFunc("/api/content/", s.serveContent)
	http.HandleFunc("/api/search", s.serveSearch)
	http.HandleFunc("/api/health", s.serveHealth)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}

func (s *server) serveContent(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(strings.TrimPrefix(r.URL.Path, "/api/content/"), 10, 64)
	if err != nil {
		http.Error(w, `{"error":"id takes a number"}`, http.StatusUnprocessableEntity)
		return
	}
	var c chunk
	err = s.pool.QueryRow(r.Context(), s.content, id).Scan(c.fields()...)
	if err == pgx.ErrNoRows {
		http.Error(w, `{"error":"Not Found"}`, http.StatusNotFound)
	} else if err != nil {
		fail(w, err)
	} else {
		answer(w, append(appendChunk(append(make([]byte, 0, 4096), '{'), &c), '}'))
	}
}

func (s *server) serveBatch(w http.ResponseWriter, r *http.Request) {
	var body struct{ IDs []int64 }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, `{"error":"ids takes an array of ids"}`, http.StatusUnprocessableEntity)
		return
	}
	rows, err := s.pool.Query(r.Context(), s.batch, body.IDs)
	if err != nil {
		fail(w, err)
		return
	}
	defer rows.Close()
	text := append(make([]byte, 0, 4096*len(body.IDs)), `{"items":[`...)
	missing := append(make([]byte, 0, 64), `],"missing":[`...)
	at := 0
	skipTo := func(id int64, all bool) {
		for ; at < len(body.IDs) && (all || body.IDs[at] != id); at++ {
			missing = append(appendComma(missing), strconv.FormatInt(body.IDs[at], 10)...)
		}
		at++
	}
	for rows.Next() {
		var c chunk
		if err := rows.Scan(c.fields()...); err != nil {
			fail(w, err)
			return
		}
		skipTo(c.id, false)
		text = append(appendChunk(append(appendComma(text), '{'), &c), '}')
	}
	if rows.Err() != nil {
		fail(w, rows.Err())
		return
	}
	skipTo(0, true)
	answer(w, append(append(text, missing...), `]}`...))
}

func (s *server) serveSearch(w http.ResponseWriter, r *http.Request) {
	words := r.URL.Query().Get("q")
	rows, err := s.pool.Query(r.Context(), s.search, words)
	if err != nil {
		fail(w, err)
		return
	}
	defer rows.Close()
	text := append(make([]byte, 0, 1<<18), `{"query":`...)
	text = append(appendString(text, words), `,"match":"all","results":[`...)
	total := int64(0)
	for rows.Next() {
		var c chunk
		var score float64
		if err := rows.Scan(append(c.fields(), &score, &total)...); err != nil {
			fail(w, err)
			return
		}
		text = append(appendChunk(append(appendComma(text), '{'), &c), `,"score":`...)
		text = append(strconv.AppendFloat(text, score, 'g', -1, 64), '}')
	}
	if rows.Err() != nil {
		fail(w, rows.Err())
		return
	}
	text = strconv.AppendInt(append(text, `],"total_count":`...), total, 10)
	text = append(text, `,"page":1,"page_size":50,"total_pages":`...)
	text = strconv.AppendInt(text, (total+49)/50, 10)
	text = strconv.AppendBool(append(text, `,"has_next":`...), total > 50)
	answer(w, append(text, '}'))
}

func (s *server) serveHealth(w http.ResponseWriter, r *http.Request) {
	var one int
	if err := s.pool.QueryRow(r.Context(), s.health).Scan(&one); err != nil {
		fail(w, err)
		return
	}
	answer(w, []byte(`{"status":"ok"}`))
}

func answer(w http.ResponseWriter, text []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Write(text)
}

func fail(w http.ResponseWriter, err error) {
	log.Print(err)
	http.Error(w, `{"error":"Internal Server Error"}`, http.StatusInternalServerError)
}

// The chunk's fields, without the braces around them.
func appendChunk(text []byte, c *chunk) []byte {
	text = strconv.AppendInt(append(text, `"id":`...), c.id, 10)
	text = strconv.AppendInt(append(text, `,"book_id":`...), c.bookID, 10)
	text = appendString(append(text, `,"title":`...), c.title)
	text = appendString(append(text, `,"author":`...), c.author)
	text = appendString(append(text, `,"source_type":`...), c.sourceType)
	text = appendString(append(text, `,"chapter":`...), c.chapter)
	text = strconv.AppendInt(append(text, `,"page_number":`...), c.pageNumber, 10)
	text = appendString(append(text, `,"page_label":`...), c.pageLabel)
	text = appendString(append(text, `,"page_kind":`...), c.pageKind)
	text = strconv.AppendInt(append(text, `,"paragraph":`...), c.paragraph, 10)
	text = appendString(append(text, `,"content":`...), c.content)
	text = append(append(text, `,"tags":`...), c.tags...)
	return append(append(text, `,"metadata":`...), c.metadata...)
}

// A comma, unless the list has just been opened.
func appendComma(text []byte) []byte {
	if text[len(text)-1] == '[' {
		return text
	}
	return append(text, ',')
}

func appendString(text []byte, value string) []byte {
	const digits = "0123456789abcdef"
	text = append(text, '"')
	begin := 0
	for i := 0; i < len(value); i++ {
		b := value[i]
		if b >= 0x20 && b != '"' && b != '\\' {
			continue
		}
		text = append(text, value[begin:i]...)
		begin = i + 1
		switch b {
		case '"', '\\':
			text = append(text, '\\', b)
		case '\n':
			text = append(text, '\\', 'n')
		default:
			text = append(text, '\\', 'u', '0', '0', digits[b>>4], digits[b&15])
		}
	}
	return append(append(text, value[begin:]...), '"')
}
