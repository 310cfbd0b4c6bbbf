"""GLSL of the animated portrait: the skin, what is behind the person, the openings of the head and what is in them."""

__all__ = [
    "BEHIND_FRAGMENT",
    "BEHIND_VERTEX",
    "HOLE_FRAGMENT",
    "HOLE_VERTEX",
    "INSIDE_FRAGMENT",
    "INSIDE_VERTEX",
    "SKIN_FRAGMENT",
    "SKIN_VERTEX",
]

_PLACE = """
  vec2 p = in_position.xy / size * 2.0;
  gl_Position = vec4(p.x - 1.0, p.y + 1.0, -in_position.z / (8.0 * size.x), 1.0);
"""
SKIN_VERTEX = f"""
#version 330
uniform vec2 size;
in vec3 in_position; in vec2 in_texture;
out vec2 place;
void main() {{
  place = in_texture / size;
{_PLACE}
}}
"""
SKIN_FRAGMENT = """
#version 330
uniform sampler2D portrait; uniform sampler2D folds; uniform sampler2D more_folds;
uniform vec4 weights; uniform vec4 more_weights; uniform float range; const float middle = 128.0 / 255.0;
in vec2 place;
out vec4 result;
void main() {
  vec4 one = texture(folds, place) - middle, other = texture(more_folds, place) - middle;
  float light = range * (dot(one, weights) + dot(other, more_weights));
  vec4 colour = texture(portrait, place);
  // What is not there must not hide what is behind it.
  if (colour.a < 0.004) discard;
  result = vec4(colour.rgb * exp(light), colour.a);
}
"""
BEHIND_VERTEX = """
#version 330
in vec2 in_corner;
out vec2 place;
void main() {
  place = in_corner;
  gl_Position = vec4(in_corner.x * 2.0 - 1.0, 1.0 - in_corner.y * 2.0, 0.0, 1.0);
}
"""
BEHIND_FRAGMENT = """
#version 330
uniform sampler2D behind;
in vec2 place;
out vec4 result;
void main() { result = texture(behind, place); }
"""
HOLE_VERTEX = f"""
#version 330
uniform vec2 size;
in vec3 in_position;
void main() {{
{_PLACE}
  gl_Position.z = 0.9;
}}
"""
HOLE_FRAGMENT = """
#version 330
out vec4 result;
void main() { result = vec4(0.0); }
"""
INSIDE_VERTEX = f"""
#version 330
uniform vec2 size; uniform float side; uniform bool in_holes;
in vec3 in_position; in vec2 in_texture; in vec4 in_shade;
out vec2 place; out vec4 shade;
void main() {{
  place = in_texture / side;
  shade = in_shade;
{_PLACE}
  if (in_holes) gl_Position.z = 0.95;
}}
"""
INSIDE_FRAGMENT = """
#version 330
uniform sampler2D atlas; uniform bool multiplied;
in vec2 place; in vec4 shade;
out vec4 result;
void main() {
  result = texture(atlas, place) * shade;
  if (multiplied) result.rgb *= shade.a;
}
"""
