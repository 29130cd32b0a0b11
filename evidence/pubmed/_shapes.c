/* XML of a declared shape, read into tuples.

   A Shape says what an element is called, what may stand in it and where in a tuple that goes. The
   reader accounts for every byte: an element, an attribute or a character that no shape declares, a
   comment, CDATA, a name of an entity that XML does not define, a control character other than a
   line feed, anything in another form than the usual one, and it declines, so that a parser of all of
   XML can decide what it is.

   Nothing here knows PubMed; the shapes are declared in shapes.py. Depth is that of the shapes, never
   that of the text, and all moves are bounded by the end of the text. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MOST_SLOTS 64
#define MOST_PARTS 64
#define MOST_TAGS 16 /* of markup within markup */

typedef enum { TEXT, WHOLE, PARTS } Content;
typedef enum { READ, DECLINED, FAILED } Outcome; /* FAILED: with an exception set */

typedef struct {
    Py_ssize_t count;
    int at[MOST_SLOTS]; /* a negative one: the value is looked at and not kept */
} Slots;

typedef struct Shape {
    PyObject_HEAD
    PyObject *name;       /* bytes */
    Content content;
    Slots slots;          /* of the frame around it; several: the value is a tuple, spread on them */
    bool many;            /* values are collected */
    bool required;
    PyObject *known;      /* mapping from the whole element, as text, to its value */
    PyObject *given;      /* mapping from the attributes, as text, to what they say; NULL: none may be */
    Slots given_slots;    /* of the frame within */
    PyObject *usual;      /* attributes, as bytes, that say nothing but the defaults */
    PyObject *exact;      /* attributes, as bytes, that make it this shape and no other */
    PyObject *parts;      /* tuple of Shape */
    PyTypeObject *made;   /* kind of tuple; NULL: what is within goes into the frame around it */
    PyObject *defaults;   /* tuple: the frame within, where nothing is said */
    int text;             /* slot of the frame within for the text of the element itself */
    int place;            /* slot of the frame within for its number among its like, from 1 */
    int needs;            /* slot of the frame within without which there is nothing */
    uint64_t awaited;     /* the parts that are required */
    bool in_order;        /* parts are tried in their order, as one may take what another could */
} Shape;

static PyTypeObject ShapeType;

typedef struct {
    const char *at;
    const char *end;
    PyObject *markup; /* callable: text with markup other than italics and the like, to text */
} Reader;

/* --- values and frames ------------------------------------------------------------------------ */

/* Put a value, whose reference is taken, into a slot. */
static Outcome
put(PyObject **frame, int slot, bool many, PyObject *value)
{
    if (slot < 0) {
        Py_DECREF(value);
        return READ;
    }
    if (!many) {
        if (frame[slot] != NULL) {
            Py_DECREF(value);
            return DECLINED;
        }
        frame[slot] = value;
        return READ;
    }
    if (frame[slot] == NULL && (frame[slot] = PyList_New(0)) == NULL) {
        Py_DECREF(value);
        return FAILED;
    }
    int failed = PyList_Append(frame[slot], value);
    Py_DECREF(value);
    return failed ? FAILED : READ;
}

/* The same with a tuple spread on several slots. */
static Outcome
spread(PyObject **frame, const Slots *slots, bool many, PyObject *value)
{
    if (slots->count == 1)
        return put(frame, slots->at[0], many, value);
    if (!PyTuple_Check(value) || PyTuple_GET_SIZE(value) != slots->count) {
        Py_DECREF(value);
        PyErr_SetString(PyExc_TypeError, "a value for several slots must be a tuple of as many");
        return FAILED;
    }
    Outcome outcome = READ;
    for (Py_ssize_t i = 0; i < slots->count && outcome == READ; i++)
        outcome = put(frame, slots->at[i], many, Py_NewRef(PyTuple_GET_ITEM(value, i)));
    Py_DECREF(value);
    return outcome;
}

static void
clear(PyObject **frame, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++)
        Py_CLEAR(frame[i]);
}

/* The tuple of a frame, which is empty afterwards. */
static PyObject *
tuple_of(const Shape *shape, PyObject **frame)
{
    Py_ssize_t count = PyTuple_GET_SIZE(shape->defaults);
    PyObject *made = shape->made == &PyTuple_Type ? PyTuple_New(count)
                                                  : shape->made->tp_alloc(shape->made, count);
    if (made == NULL) {
        clear(frame, count);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *value = frame[i];
        frame[i] = NULL;
        if (value == NULL)
            value = Py_NewRef(PyTuple_GET_ITEM(shape->defaults, i));
        else if (PyList_CheckExact(value)) {
            PyObject *list = value;
            value = PyList_AsTuple(list);
            Py_DECREF(list);
            if (value == NULL) {
                clear(frame, count);
                Py_DECREF(made);
                return NULL;
            }
        }
        PyTuple_SET_ITEM(made, i, value);
    }
    return made;
}

/* --- text ------------------------------------------------------------------------------------- */

/* Whether there is no control character but line feeds, and none of the two characters of more than
   a byte that XML forbids: U+FFFE and U+FFFF. */
static bool
is_plain(const char *data, Py_ssize_t length)
{
    unsigned char controls = 0, suspects = 0; /* as wide as what is looked at: many at a time */
    for (Py_ssize_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)data[i];
        controls |= (unsigned char)((c < 0x20) & (c != '\n'));
        suspects |= (unsigned char)(c == 0xEF);
    }
    if (controls)
        return false;
    const char *p = data, *end = data + length;
    while (suspects && (p = memchr(p, 0xEF, (size_t)(end - p))) != NULL) {
        if (end - p > 2 && p[1] == '\xBF' && (p[2] == '\xBE' || p[2] == '\xBF'))
            return false;
        p++;
    }
    return true;
}

static inline bool
is_blank(char c)
{
    return c == ' ' || c == '\n';
}

/* Whether there is nothing to put right in a text that begins and ends with no blank. */
static bool
is_simple(const char *text, Py_ssize_t length)
{
    /* One mark for each, or a compiler makes of them a test that takes one character at a time. */
    unsigned char references = 0, ends = 0, lines = 0, doubled = 0;
    for (Py_ssize_t i = 0; i + 1 < length; i++) {
        unsigned char c = (unsigned char)text[i], next = (unsigned char)text[i + 1];
        references |= (unsigned char)(c == '&');
        ends |= (unsigned char)(c == '>');
        lines |= (unsigned char)(c == '\n');
        doubled |= (unsigned char)((c == ' ') & (next == ' '));
    }
    return !(references | ends | lines | doubled) &&
           (length == 0 || (text[length - 1] != '&' && text[length - 1] != '>'));
}

/* A reference to a character, from behind its '&'; its bytes go to `out`. Gives how many bytes it
   has, and 0 if it is none that XML itself defines. It is never shorter than what it stands for. */
static Py_ssize_t
reference(const char *text, const char *end, char *out, int *written)
{
    static const struct { const char *name; Py_ssize_t length; char c; } named[] = {
        {"amp;", 4, '&'}, {"lt;", 3, '<'}, {"gt;", 3, '>'}, {"quot;", 5, '"'}, {"apos;", 5, '\''},
    };
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        if (end - text >= named[i].length && !memcmp(text, named[i].name, (size_t)named[i].length)) {
            out[0] = named[i].c;
            *written = 1;
            return named[i].length;
        }
    const char *p = text;
    if (p == end || *p++ != '#')
        return 0;
    bool hexadecimal = p < end && *p == 'x';
    p += hexadecimal;
    const char *first = p;
    uint32_t code = 0;
    for (; p < end && p - first <= 7; p++) { /* so that it cannot overflow */
        if (*p >= '0' && *p <= '9')
            code = code * (hexadecimal ? 16 : 10) + (uint32_t)(*p - '0');
        else if (hexadecimal && ((*p >= 'a' && *p <= 'f') || (*p >= 'A' && *p <= 'F')))
            code = code * 16 + (uint32_t)((*p | 0x20) - 'a' + 10);
        else
            break;
    }
    if (p == first || p - first > (hexadecimal ? 6 : 7) || p == end || *p != ';')
        return 0;
    if (code < 0x20 || (code >= 0xD800 && code <= 0xDFFF) || code == 0xFFFE || code == 0xFFFF ||
        code > 0x10FFFF)
        return 0;
    if (code < 0x80) {
        out[0] = (char)code;
        *written = 1;
    } else if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        *written = 2;
    } else if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        *written = 3;
    } else {
        out[0] = (char)(0xF0 | code >> 18);
        out[1] = (char)(0x80 | (code >> 12 & 0x3F));
        out[2] = (char)(0x80 | (code >> 6 & 0x3F));
        out[3] = (char)(0x80 | (code & 0x3F));
        *written = 4;
    }
    return p + 1 - text;
}

/* A tag for italics and the like, from behind its '<': its length, and which one; 0 if it is not. */
static Py_ssize_t
markup_tag(const char *text, const char *end, int *which)
{
    static const struct { const char *name; Py_ssize_t length; } tags[] = {
        {"i>", 2}, {"sup>", 4}, {"sub>", 4}, {"b>", 2}, {"u>", 2},
    };
    for (int i = 0; i < (int)(sizeof tags / sizeof tags[0]); i++)
        if (end - text >= tags[i].length && !memcmp(text, tags[i].name, (size_t)tags[i].length)) {
            *which = i;
            return tags[i].length;
        }
    return 0;
}

/* Text with references, markup or blanks to be put right, into `out`, which has room for as much.
   Gives the length, -1 for what is no text that can be read here, -2 for markup of other kinds. */
static Py_ssize_t
put_right(const char *text, const char *end, char *out)
{
    Py_ssize_t length = 0;
    bool pending = false; /* a blank that counts if something follows it */
    int open[MOST_TAGS], depth = 0;
    for (const char *p = text; p < end;) {
        char made[4] = {*p};
        int written = 1;
        if (*p == '>')
            return -1;
        if (*p == '&') {
            Py_ssize_t read = reference(p + 1, end, made, &written);
            if (!read)
                return -1;
            p += 1 + read;
        } else if (*p == '<') {
            bool closing = end - p > 1 && p[1] == '/';
            int which = 0;
            Py_ssize_t read = markup_tag(p + 1 + closing, end, &which);
            if (!read || (closing ? !depth || open[--depth] != which : depth == MOST_TAGS))
                return -2;
            if (!closing)
                open[depth++] = which;
            p += 1 + closing + read;
            continue;
        } else
            p++;
        if (written == 1 && is_blank(made[0])) {
            pending = length > 0;
            continue;
        }
        if (pending)
            out[length++] = ' ';
        pending = false;
        memcpy(out + length, made, (size_t)written);
        length += written;
    }
    return depth ? -2 : length;
}

/* The text between two places, as a parser gives it with blanks squeezed. */
static Outcome
text_between(Reader *reader, const char *from, const char *to, bool tags, PyObject **found)
{
    const char *raw = from, *raw_end = to;
    while (from < to && is_blank(*from))
        from++;
    while (from < to && is_blank(to[-1]))
        to--;
    if (!tags && is_simple(from, to - from)) {
        *found = PyUnicode_DecodeUTF8(from, to - from, "strict");
        return *found ? READ : FAILED;
    }
    char near[512];
    char *out = to - from <= (Py_ssize_t)sizeof near ? near : PyMem_Malloc((size_t)(to - from));
    if (out == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    Py_ssize_t length = put_right(from, to, out);
    Outcome outcome = DECLINED;
    if (length >= 0) {
        *found = PyUnicode_DecodeUTF8(out, length, "strict");
        outcome = *found ? READ : FAILED;
    } else if (length == -2) {
        *found = PyObject_CallFunction(reader->markup, "s#", raw, raw_end - raw);
        outcome = *found ? READ : FAILED;
        if (*found && !PyUnicode_Check(*found)) {
            Py_CLEAR(*found);
            PyErr_SetString(PyExc_TypeError, "markup must give a text");
            outcome = FAILED;
        }
    }
    if (out != near)
        PyMem_Free(out);
    return outcome;
}

/* --- elements --------------------------------------------------------------------------------- */

static inline bool
begins(const Reader *reader, const char *at, const char *text, Py_ssize_t length)
{
    return reader->end - at >= length && !memcmp(at, text, (size_t)length);
}

static inline bool
equals(PyObject *bytes, const char *text, Py_ssize_t length)
{
    return PyBytes_GET_SIZE(bytes) == length && !memcmp(PyBytes_AS_STRING(bytes), text, (size_t)length);
}

/* Whether the end tag of a name stands here, and its length. */
static inline Py_ssize_t
end_tag(const Reader *reader, const char *at, const Shape *shape)
{
    Py_ssize_t length = PyBytes_GET_SIZE(shape->name);
    return begins(reader, at, "</", 2) && begins(reader, at + 2, PyBytes_AS_STRING(shape->name), length) &&
                   reader->end - at > length + 2 && at[length + 2] == '>'
               ? length + 3
               : 0;
}

/* Whether an element of that name begins here, at its '<'. */
static inline bool
starts(const Reader *reader, const char *at, const Shape *shape)
{
    Py_ssize_t length = PyBytes_GET_SIZE(shape->name);
    if (!begins(reader, at + 1, PyBytes_AS_STRING(shape->name), length))
        return false;
    const char *after = at + 1 + length;
    if (after == reader->end || !(*after == '>' || *after == ' ' || *after == '/'))
        return false;
    if (shape->exact == NULL)
        return true;
    Py_ssize_t more = PyBytes_GET_SIZE(shape->exact);
    return begins(reader, after, PyBytes_AS_STRING(shape->exact), more) &&
           reader->end - after > more && after[more] == '>';
}

/* What the attributes say, from their text. */
static Outcome
attributes(const Shape *shape, PyObject **frame, const char *from, const char *to, bool empty)
{
    Py_ssize_t length = to - from;
    if (shape->exact != NULL && equals(shape->exact, from, length))
        return READ;
    if (shape->given == NULL)
        return length == 0 || (empty && length == 1 && *from == ' ') ? READ : DECLINED;
    if (shape->usual != NULL && equals(shape->usual, from, length))
        return READ;
    PyObject *key = PyUnicode_DecodeUTF8(from, length, "strict");
    if (key == NULL)
        return FAILED;
    PyObject *value = PyObject_GetItem(shape->given, key);
    Py_DECREF(key);
    return value ? spread(frame, &shape->given_slots, false, value) : FAILED;
}

static Outcome element(Reader *reader, const Shape *shape, PyObject **frame);

/* The part that begins here, mostly the last one again or the next. One that its attributes make is
   passed over if its place is taken. */
static const Shape *
part_at(const Reader *reader, const Shape *shape, PyObject **frame, Py_ssize_t *hint)
{
    Py_ssize_t count = PyTuple_GET_SIZE(shape->parts);
    if (shape->in_order)
        *hint = 0;
    for (Py_ssize_t tried = 0, i = *hint; tried < count; tried++, i = i + 1 == count ? 0 : i + 1) {
        const Shape *part = (const Shape *)PyTuple_GET_ITEM(shape->parts, i);
        if (!starts(reader, reader->at, part))
            continue;
        if (part->exact != NULL && part->slots.at[0] >= 0 && frame[part->slots.at[0]] != NULL)
            continue;
        *hint = i;
        return part;
    }
    return NULL;
}

/* An instruction that says nothing about the record, such as "<?pmcsd ?>"; not "<?xml". */
static bool
skip_instruction(Reader *reader)
{
    const char *p = reader->at + 2, *name = p;
    while (p < reader->end && *p >= 'a' && *p <= 'z')
        p++;
    if (p == name || (p - name >= 3 && !memcmp(name, "xml", 3)))
        return false;
    if (p < reader->end && *p == ' ')
        while (p < reader->end && *p != '?' && *p != '<' && *p != '>')
            p++;
    if (!begins(reader, p, "?>", 2))
        return false;
    reader->at = p + 2;
    return true;
}

static Outcome
parts(Reader *reader, const Shape *shape, PyObject **frame)
{
    uint64_t seen = 0;
    Py_ssize_t hint = 0, length;
    for (;;) {
        while (reader->at < reader->end && is_blank(*reader->at))
            reader->at++;
        if ((length = end_tag(reader, reader->at, shape)))
            break;
        if (reader->at == reader->end || *reader->at != '<')
            return DECLINED;
        if (begins(reader, reader->at, "<?", 2)) {
            if (!skip_instruction(reader))
                return DECLINED;
            continue;
        }
        const Shape *part = part_at(reader, shape, frame, &hint);
        if (part == NULL)
            return DECLINED;
        uint64_t bit = (uint64_t)1 << hint;
        if (!part->many && part->exact == NULL && seen & bit)
            return DECLINED;
        seen |= bit;
        Outcome outcome = element(reader, part, frame);
        if (outcome != READ)
            return outcome;
    }
    reader->at += length;
    return (seen & shape->awaited) == shape->awaited ? READ : DECLINED;
}

/* Pass the end tag of an element; gives where it begins, NULL if there is none. `tags` says whether
   other tags stand before it. */
static const char *
pass_end(Reader *reader, const Shape *shape, bool *tags)
{
    *tags = false;
    for (const char *p = reader->at; (p = memchr(p, '<', (size_t)(reader->end - p))) != NULL; p++) {
        Py_ssize_t length = end_tag(reader, p, shape);
        if (length) {
            reader->at = p + length;
            return p;
        }
        *tags = true;
    }
    return NULL;
}

/* An element as text, looked up as a whole. */
static Outcome
whole(Reader *reader, const Shape *shape, const char *start, PyObject **value)
{
    bool tags;
    if (pass_end(reader, shape, &tags) == NULL)
        return DECLINED;
    PyObject *text = PyUnicode_DecodeUTF8(start, reader->at - start, "strict");
    if (text == NULL || shape->known == NULL)
        *value = text;
    else {
        *value = PyObject_GetItem(shape->known, text);
        Py_DECREF(text);
    }
    return *value ? READ : FAILED;
}

/* The text of an element up to its end tag, which is passed. */
static Outcome
text_within(Reader *reader, const Shape *shape, PyObject **value)
{
    bool tags;
    const char *from = reader->at, *to = pass_end(reader, shape, &tags);
    return to ? text_between(reader, from, to, tags, value) : DECLINED;
}

/* What stands within an element; `frame` is the one that its attributes and parts go to. */
static Outcome
content(Reader *reader, const Shape *shape, PyObject **frame, PyObject **value)
{
    const char *start = reader->at; /* its '<' */
    const char *given = start + 1 + PyBytes_GET_SIZE(shape->name);
    const char *close = memchr(given, '>', (size_t)(reader->end - given));
    if (close == NULL)
        return DECLINED;
    bool empty = close > given && close[-1] == '/';
    reader->at = close + 1;
    if (shape->content == WHOLE)
        return empty ? DECLINED : whole(reader, shape, start, value);
    Outcome outcome = attributes(shape, frame, given, close - empty, empty);
    if (outcome != READ)
        return outcome;
    if (empty)
        return shape->content == PARTS && shape->awaited ? DECLINED : READ;
    if (shape->content == PARTS)
        return parts(reader, shape, frame);
    return text_within(reader, shape, value);
}

static inline bool
is_nothing(PyObject *value)
{
    return value == NULL || (PyUnicode_Check(value) && PyUnicode_GET_LENGTH(value) == 0);
}

/* An element, from its '<'; `frame` is the one around it. */
static Outcome
element(Reader *reader, const Shape *shape, PyObject **frame)
{
    PyObject *value = NULL;
    if (shape->made == NULL) {
        Outcome outcome = content(reader, shape, frame, &value);
        if (outcome != READ || value == NULL)
            return outcome;
        if (shape->content == TEXT && is_nothing(value)) {
            Py_DECREF(value);
            return READ;
        }
        return spread(frame, &shape->slots, shape->many, value);
    }
    PyObject *within[MOST_SLOTS] = {NULL};
    Py_ssize_t count = PyTuple_GET_SIZE(shape->defaults);
    Outcome outcome = content(reader, shape, within, &value);
    if (outcome == READ && value != NULL)
        outcome = put(within, shape->text, false, value);
    if (outcome != READ || (shape->needs >= 0 && is_nothing(within[shape->needs]))) {
        clear(within, count);
        return outcome;
    }
    int slot = shape->slots.at[0];
    if (shape->place >= 0) {
        PyObject *before = frame[slot];
        Py_ssize_t count_before = before && PyList_CheckExact(before) ? PyList_GET_SIZE(before) : 0;
        within[shape->place] = PyLong_FromSsize_t(count_before + 1);
        if (within[shape->place] == NULL) {
            clear(within, count);
            return FAILED;
        }
    }
    value = tuple_of(shape, within);
    return value ? put(frame, slot, shape->many, value) : FAILED;
}

/* --- Shape ------------------------------------------------------------------------------------ */

static void
shape_dealloc(Shape *self)
{
    Py_XDECREF(self->name);
    Py_XDECREF(self->known);
    Py_XDECREF(self->given);
    Py_XDECREF(self->usual);
    Py_XDECREF(self->exact);
    Py_XDECREF(self->parts);
    Py_XDECREF((PyObject *)self->made);
    Py_XDECREF(self->defaults);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static bool
slots_from(PyObject *given, Slots *slots)
{
    slots->count = PyTuple_GET_SIZE(given);
    if (slots->count < 1 || slots->count > MOST_SLOTS) {
        PyErr_SetString(PyExc_ValueError, "there must be 1 to 64 slots");
        return false;
    }
    for (Py_ssize_t i = 0; i < slots->count; i++) {
        long at = PyLong_AsLong(PyTuple_GET_ITEM(given, i));
        if (at == -1 && PyErr_Occurred())
            return false;
        if (at < -1 || at >= MOST_SLOTS) {
            PyErr_SetString(PyExc_ValueError, "a slot must be -1 to 63");
            return false;
        }
        slots->at[i] = (int)at;
    }
    return true;
}

static PyObject *
optional(PyObject *value)
{
    return value == NULL || value == Py_None ? NULL : Py_NewRef(value);
}

static bool
refuse(const char *why)
{
    PyErr_SetString(PyExc_ValueError, why);
    return false;
}

static bool
fits(const Slots *slots, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < slots->count; i++)
        if (slots->at[i] >= count)
            return false;
    return true;
}

/* Whether all that goes into a frame of that size has a place in it. */
static bool
all_fit(const Shape *shape, Py_ssize_t count)
{
    if (!fits(&shape->given_slots, count))
        return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(shape->parts); i++) {
        const Shape *part = (const Shape *)PyTuple_GET_ITEM(shape->parts, i);
        if (!fits(&part->slots, count) || (part->made == NULL && !all_fit(part, count)))
            return false;
    }
    return true;
}

static bool
is_sound(Shape *self)
{
    if (PyBytes_GET_SIZE(self->name) == 0)
        return refuse("a shape needs a name");
    if ((unsigned)self->content > PARTS)
        return refuse("content is TEXT, WHOLE or PARTS");
    if (PyTuple_GET_SIZE(self->parts) > MOST_PARTS)
        return refuse("a shape has 64 parts at most");
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self->parts); i++) {
        PyObject *part = PyTuple_GET_ITEM(self->parts, i);
        if (!PyObject_TypeCheck(part, &ShapeType))
            return refuse("parts are shapes");
        if (((Shape *)part)->required)
            self->awaited |= (uint64_t)1 << i;
        if (((Shape *)part)->exact)
            self->in_order = true;
    }
    if (self->made == NULL)
        return true;
    Py_ssize_t count = PyTuple_GET_SIZE(self->defaults);
    if (!PyType_IsSubtype(self->made, &PyTuple_Type))
        return refuse("made is a kind of tuple");
    if (self->slots.count != 1)
        return refuse("a tuple has one slot");
    if (count > MOST_SLOTS || !all_fit(self, count) || self->text >= count || self->place >= count ||
        self->needs >= count)
        return refuse("there are more slots than defaults");
    if (self->place >= 0 && (!self->many || self->slots.at[0] < 0))
        return refuse("only one of many has a place");
    return true;
}

static PyObject *
shape_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"name",  "content", "slots",    "many", "required", "known", "given",
                            "given_slots", "usual", "exact", "parts", "made", "defaults", "text",
                            "place", "needs", NULL};
    PyObject *name, *slots, *known = NULL, *given = NULL, *given_slots, *usual = NULL, *exact = NULL;
    PyObject *parts, *made = NULL, *defaults;
    int content, many, required, text, place, needs;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$SiO!ppOOO!OOO!OO!iii:Shape", names, &name, &content,
                                     &PyTuple_Type, &slots, &many, &required, &known, &given,
                                     &PyTuple_Type, &given_slots, &usual, &exact, &PyTuple_Type,
                                     &parts, &made, &PyTuple_Type, &defaults, &text, &place, &needs))
        return NULL;
    if ((usual != Py_None && !PyBytes_Check(usual)) || (exact != Py_None && !PyBytes_Check(exact)) ||
        (made != Py_None && !PyType_Check(made))) {
        PyErr_SetString(PyExc_TypeError, "attributes are bytes, and made is a type");
        return NULL;
    }
    Shape *self = (Shape *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->name = Py_NewRef(name);
    self->content = (Content)content;
    self->many = many;
    self->required = required;
    self->known = optional(known);
    self->given = optional(given);
    self->usual = optional(usual);
    self->exact = optional(exact);
    self->parts = Py_NewRef(parts);
    self->made = (PyTypeObject *)optional(made);
    self->defaults = Py_NewRef(defaults);
    self->text = text;
    self->place = place;
    self->needs = needs;
    if (!slots_from(slots, &self->slots) || !slots_from(given_slots, &self->given_slots) ||
        !is_sound(self)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

PyDoc_STRVAR(read_doc,
"read($self, data, markup, /)\n--\n\n"
"The tuple of an element that is all of ``data`` (bytes, in UTF-8); ``None`` where it has another\n"
"shape. ``markup`` (callable) makes text of text with markup other than italics and the like.");

static PyObject *
shape_read(Shape *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "read takes bytes and a callable");
        return NULL;
    }
    if (self->made == NULL || self->slots.at[0] < 0) {
        PyErr_SetString(PyExc_TypeError, "a shape that keeps no tuple reads nothing by itself");
        return NULL;
    }
    const char *data = PyBytes_AS_STRING(args[0]);
    Reader reader = {data, data + PyBytes_GET_SIZE(args[0]), args[1]};
    while (reader.at < reader.end && is_blank(*reader.at))
        reader.at++;
    if (reader.at == reader.end || *reader.at != '<' || !starts(&reader, reader.at, self) ||
        !is_plain(data, reader.end - data))
        Py_RETURN_NONE;
    PyObject *frame[MOST_SLOTS] = {NULL};
    Outcome outcome = element(&reader, self, frame);
    while (reader.at < reader.end && is_blank(*reader.at))
        reader.at++;
    PyObject *found = frame[self->slots.at[0]];
    if (outcome == READ && reader.at == reader.end && found != NULL)
        return found;
    Py_XDECREF(found);
    if (outcome == FAILED)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef shape_methods[] = {
    {"read", (PyCFunction)(void (*)(void))shape_read, METH_FASTCALL, read_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(shape_doc, "What an element is called, what may stand in it, and where that goes.");

static PyTypeObject ShapeType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "evidence.pubmed._shapes.Shape",
    .tp_doc = shape_doc,
    .tp_basicsize = sizeof(Shape),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = shape_new,
    .tp_dealloc = (destructor)shape_dealloc,
    .tp_methods = shape_methods,
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "evidence.pubmed._shapes",
    .m_doc = "XML of a declared shape, read into tuples.",
    .m_size = -1,
};

PyMODINIT_FUNC
PyInit__shapes(void)
{
    PyObject *made = PyModule_Create(&module);
    if (made == NULL || PyModule_AddType(made, &ShapeType) < 0 ||
        PyModule_AddIntConstant(made, "TEXT", TEXT) < 0 ||
        PyModule_AddIntConstant(made, "WHOLE", WHOLE) < 0 ||
        PyModule_AddIntConstant(made, "PARTS", PARTS) < 0) {
        Py_XDECREF(made);
        return NULL;
    }
    return made;
}
