"""IonQ's API v0.4 as pure functions between circuits and JSON, for the client and the emulator alike.

| module | |
|---|---|
| limits | what one job may hold |
| gates | which gates the wire has; any circuit in terms of them |
| template | a circuit as the text of its gate list, a row at a time |
| payload | how many circuits fit into a job; the body of a job |
| results | distributions from both generations of results; where to fetch them |
| parse, gate_reader | a body as jobs of circuits, from any client |
| refusal | what a body is refused with |
"""
